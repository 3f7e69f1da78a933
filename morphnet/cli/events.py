"""`morphnet events`: what has happened to the process that runs here."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from morphnet.cli.layout import Place, dir_option
from morphnet.cli.live import console_of, feed_of, rendered, role_option, run_dir_option
from morphnet.errors import HostError
from morphnet.ops import feedclient, show
from morphnet.status import Happening, as_json

AGAIN = 0.3  # seconds between looks for the next process


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on, with each one as it happens, until Ctrl-C.")
@click.option("--last", type=click.IntRange(0), default=50, show_default=True, help="How many to begin with.")
@click.option("--json", "for_machines", is_flag=True, help="One JSON object a line, for machines.")
@role_option
@run_dir_option
@dir_option
def events(follow: bool, last: int, for_machines: bool, role: str | None, run_dir: Path | None, place: Place) -> None:
    """
    What has happened: connected, a path lost and why, back, refused, revoked.

    The log of the process has the same lines, but for those that only say that all goes on.
    """
    feed = feed_of(run_dir, place, role)
    before = _until_now(feed)
    _show(before[len(before) - min(last, len(before)) :], for_machines=for_machines)
    try:
        while follow:
            with suppress(HostError):  # it was there a moment ago, and has ended
                _show(_following(feed, before[-1].number if before else 0), for_machines=for_machines)
            click.echo("the process has ended: waiting for the next one, until Ctrl-C", err=for_machines)
            before = _of_next(feed)
            click.echo("it runs again", err=for_machines)
            _show(before, for_machines=for_machines)
    except KeyboardInterrupt:
        pass  # how one leaves


def _until_now(feed: Path) -> list[Happening]:
    answer = feedclient.ask(feed, {"ask": "happenings"})
    return [feedclient.happening(each) for each in feedclient.listed(answer, "happenings")]


def _of_next(feed: Path) -> list[Happening]:
    """What has happened to the next process there, as soon as there is one."""
    while True:
        with suppress(feedclient.Nobody):
            return _until_now(feed)
        time.sleep(AGAIN)


def _following(feed: Path, after: int) -> Iterator[Happening]:
    answers: Iterator[dict[str, Any]] = feedclient.follow(feed, {"ask": "happenings", "after": after, "follow": True})
    return map(feedclient.happening, answers)


def _show(happenings: Iterable[Happening], *, for_machines: bool) -> None:
    console = console_of()
    for each in happenings:
        if for_machines:
            click.echo(json.dumps(as_json(each)))
        else:
            console.print(rendered([show.event_line(each, time.localtime(each.at))]), soft_wrap=True)
