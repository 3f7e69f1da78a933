"""`morphnet events`: what has happened to the process that runs here."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from morphnet.cli.layout import Place, dir_option
from morphnet.cli.live import console_of, feed_of, rendered, run_dir_option
from morphnet.errors import HostError
from morphnet.ops import feedclient, show
from morphnet.status import Happening, as_json


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on, with each one as it happens, until Ctrl-C.")
@click.option("--last", type=click.IntRange(0), default=50, show_default=True, help="How many to begin with.")
@click.option("--json", "for_machines", is_flag=True, help="One JSON object a line, for machines.")
@run_dir_option
@dir_option
def events(follow: bool, last: int, for_machines: bool, run_dir: Path | None, place: Place) -> None:
    """
    What has happened: connected, a path lost and why, back, refused, revoked.

    The log of the process has the same lines, but for those that only say that all goes on.
    """
    feed = feed_of(run_dir, place)
    answer = feedclient.ask(feed, {"ask": "happenings"})
    before = [feedclient.happening(each) for each in feedclient.listed(answer, "happenings")]
    _show(before[len(before) - min(last, len(before)) :], for_machines=for_machines)
    if not follow:
        return
    after = before[-1].number if before else 0
    try:
        _show(_following(feed, after), for_machines=for_machines)
    except KeyboardInterrupt:
        return  # how one leaves
    raise HostError("the process has ended")


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
