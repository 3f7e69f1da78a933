"""`morphnet traffic`: what each user of a server has carried, this month and before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import click

from morphnet.cli.layout import Place, dir_option, ledger_in, load_server, now
from morphnet.cli.live import print_lines
from morphnet.config.accounting import AccountingConfig
from morphnet.ops.page import Line
from morphnet.roles.server.accounting import month_of, shown
from morphnet.store.base import MonthRecord

_LONGEST = 24  # characters of a name


@click.command()
@click.option("--json", "for_machines", is_flag=True, help="One JSON object, for machines, with every month.")
@click.option(
    "--clock-is-right",
    is_flag=True,
    help="Count what is in later months for this one: the clock was wrong, and is right now.",
)
@dir_option
def traffic(for_machines: bool, clock_is_right: bool, place: Place) -> None:
    """
    What each user has carried over this server: payload, this month (UTC) and before.

    From the records, which the server writes every 5 s.
    """
    config = load_server(place)
    with ledger_in(config.state_dir) as ledger:
        if clock_is_right:
            folded = ledger.account(lambda book: book.fold(month_of(now())))
            click.echo(f"{folded} records of later months are counted for {month_of(now())}.", err=for_machines)
        month = ledger.account(lambda book: book.standing(month_of(now()))).month
        months = ledger.account(lambda book: book.months())
    if for_machines:
        click.echo(json.dumps(as_json(months, month, config.accounting), indent=2))
    else:
        print_lines(lines(months, month, config.accounting))


def _by_user(months: Iterable[MonthRecord]) -> Mapping[str, list[MonthRecord]]:
    users: dict[str, list[MonthRecord]] = {}
    for each in months:
        users.setdefault(each.name, []).append(each)
    return users


def as_json(months: Iterable[MonthRecord], month: str, config: AccountingConfig) -> dict[str, object]:
    """:param month: that is counted for."""
    return {
        "month": month,
        "users": [
            {
                "name": name,
                "quota_bytes": config.limit_of(name),
                "months": [
                    {"month": each.month, "sent_bytes": each.sent, "received_bytes": each.received} for each in records
                ],
            }
            for name, records in _by_user(months).items()
        ],
    }


def lines(months: Iterable[MonthRecord], month: str, config: AccountingConfig) -> list[Line]:
    """The same for a person: who has carried most this month first."""
    users = _by_user(months)
    if not users:
        return [[("nobody has carried anything yet", "dim")]]
    rows = []
    for name, records in users.items():
        this = [each for each in records if each.month == month]
        before = [each for each in records if each.month != month]
        sums = [sum(each.sent for each in this), sum(each.received for each in this)]
        sums += [sum(each.sent for each in before), sum(each.received for each in before)]
        rows.append((name, sums))
    rows.sort(key=lambda row: (-row[1][0] - row[1][1], row[0]))
    widest = min(_LONGEST, max(len(name) for name, _ in rows))
    head = ("to it", "from it", "before: to", "from it", "quota")
    found: list[Line] = [[(f"{month:<{widest}}", "head"), *((f"{text:>11}", "dim") for text in head)]]
    for name, sums in rows:
        limit = config.limit_of(name)
        over = limit is not None and sums[0] + sums[1] >= limit
        cells = [(f"{shown(each):>11}", "") for each in sums]
        quota = "-" if limit is None else shown(limit)
        found.append([(f"{name[:_LONGEST]:<{widest}}", "bold"), *cells, (f"{quota:>11}", "bad" if over else "")])
    return found


commands: list[click.Command] = [traffic]
