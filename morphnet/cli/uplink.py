"""`morphnet uplink`: how each way out of this machine is to be used."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from morphnet.cli.layout import Place, dir_option
from morphnet.cli.live import feed_of, print_lines, run_dir_option
from morphnet.ops import feedclient
from morphnet.ops.page import Line
from morphnet.ops.show_uplinks import use_of
from morphnet.status import UplinkStatus
from morphnet.text import printable

USES = ("normal", "metered", "backup", "last", "never", "default", "recount")
_DEVICES = Path("/sys/class/net")


def _devices(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    names = sorted(each.name for each in _DEVICES.iterdir()) if _DEVICES.is_dir() else []
    return [CompletionItem(name) for name in names if name.startswith(begun)]


@click.command()
@click.argument("name", required=False, shell_complete=_devices)
@click.argument("use", required=False, type=click.Choice(USES))
@run_dir_option
@dir_option
def uplink(name: str | None, use: str | None, run_dir: Path | None, place: Place) -> None:
    """
    Show how each uplink is used, or use one in another way from now on.

    As in `morphnet uplink wwan0 backup`. It holds until you say `default`, which is what the settings say, also through
    a restart. `backup` carries only while no other works, `last` only if nothing else does at all, `metered` after
    those that are not, before backups, `never` is left alone; `recount` counts what it carries, for its cap, from 0.
    """
    feed = feed_of(run_dir, place, None if run_dir is not None else "client")
    if use is not None and name is not None:
        click.echo(printable(str(feedclient.ask(feed, {"ask": "uplink", "name": name, "use": use}).get("done", ""))))
        return
    node = feedclient.node_status(feedclient.ask(feed, {"ask": "status"}))
    print_lines([_line(each) for each in node.uplinks if name in (None, each.name)] or [[("no uplink", "dim")]])


def _line(each: UplinkStatus) -> Line:
    """One uplink: its name, how it is used, and what there is to say besides."""
    more = "" if each.state == "up" else f"{each.state}: {each.why}"
    said = ", ".join(filter(None, (use_of(each) or "normal", more)))
    return [(f"{each.name:<16}", "head"), (said, "good" if each.state == "up" else "warn")]


commands: list[click.Command] = [uplink]
