"""`morphnet status`: looking at the process that runs here."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from morphnet.cli.layout import Place, dir_option
from morphnet.cli.running import CONFIGS, role_here
from morphnet.errors import HostError
from morphnet.ops import feedclient, page, show
from morphnet.ops.rundir import FEED, JOURNAL
from morphnet.status import NodeStatus, as_json
from morphnet.text import printable

_STYLES = {"dim": "dim", "bold": "bold", "head": "bold cyan", "good": "green", "calm": "cyan"}
_STYLES |= {"warn": "yellow", "bad": "bold red", "": ""}

NOT_WELL = 3  # exit code of `status`: it runs, and does not do what it is there for

run_dir_option = click.option(
    "--run-dir", type=click.Path(path_type=Path), envvar="MORPHNET_RUN_DIR", help="Where the process keeps its sockets."
)

role_option = click.option(
    "--role", type=click.Choice(list(CONFIGS)), help="Which one is meant, where several roles run on this machine."
)


def picture(node: NodeStatus, now: float, width: int = page.WIDTH) -> Text:
    """
    A node as `status` shows it.

    :param now: Unix seconds.
    :param width: columns.
    """
    return rendered(show.node_lines(node, now, width))


def rendered(lines: Iterable[page.Line]) -> Text:
    """Lines of `ops` as rich has them."""
    pieces = ([(printable(text), _STYLES[style]) for text, style in line] for line in lines)
    return Text("\n").join(Text.assemble(*each) for each in pieces)


@click.command()
@click.option("--json", "as_lines", is_flag=True, help="One JSON object, for machines; with --watch one a line.")
@click.option("--watch", is_flag=True, help="Go on, once a second, until Ctrl-C.")
@click.option("--every", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True, help="Seconds, for --watch.")
@role_option
@run_dir_option
@dir_option
def status(as_lines: bool, watch: bool, every: float, role: str | None, run_dir: Path | None, place: Place) -> None:
    """
    What runs here: sessions, their paths, and how well each of them does.

    Exit code: 0 when all is well, 3 when something runs and does not do what it is there for, 1 when nothing answers.
    """
    feed = feed_of(run_dir, place, role)
    if not watch:
        node = _told(feed, place)
        if as_lines:
            print_json(node)
        else:
            console = console_of()
            console.print(picture(node, time.time(), columns_of(console)), soft_wrap=True)
        raise SystemExit(0 if node.well else NOT_WELL)
    try:
        _watch(feed, every, as_lines)
    except KeyboardInterrupt:
        pass  # how one leaves


def _told(feed: Path, place: Place) -> NodeStatus:
    """
    What runs there.

    :raises HostError: nothing does; what a client that was killed has left is part of the sentence.
    """
    try:
        return feedclient.node_status(feedclient.ask(feed, {"ask": "status"}))
    except feedclient.Nobody as nobody:
        raise HostError(f"{nobody}{_held_back(place)}") from None


def _held_back(place: Place) -> str:
    """What there is to say of traffic that nobody lets out; "" for nothing."""
    if not place.client_toml.exists():
        return ""
    client = role_here(place, "client", lenient=True)
    from morphnet.host.leftovers import holds_back  # brings netlink

    if client.process() or not holds_back(client.config.state_dir / JOURNAL):
        return ""
    more = place.option()
    return (
        "; a client with `strict` was killed, and what was to go through its tunnel is held back, as you wanted:"
        f" `morphnet up{more}` starts it again, `morphnet down{more}` lets everything out as without morphnet"
    )


@click.command()
@role_option
@run_dir_option
@dir_option
def reload(role: str | None, run_dir: Path | None, place: Place) -> None:
    """Have the process read its settings again: what can be applied is, and what needs a restart is said."""
    click.echo(printable(str(feedclient.ask(feed_of(run_dir, place, role), {"ask": "reload"}).get("done", ""))))


def _watch(feed: Path, every: float, as_lines: bool) -> None:
    answers = feedclient.follow(feed, {"ask": "watch", "every": every}, timeout=every + feedclient.PATIENCE)
    if as_lines:
        for answer in answers:
            click.echo(json.dumps(answer))
    else:
        _draw(answers, console_of())
    raise HostError("the process has ended")


def _draw(answers: Iterable[dict[str, Any]], console: Console) -> None:
    """On a screen of its own, that a terminal of any size and a change of it leave whole; the last picture stays."""
    seen = Text()
    try:
        with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
            for answer in answers:
                seen = picture(feedclient.node_status(answer), time.time(), columns_of(console))
                shown = seen.copy()
                shown.no_wrap, shown.overflow = True, "ellipsis"
                live.update(shown, refresh=True)
    finally:
        if seen and console.is_terminal:
            console.print(seen, soft_wrap=True)


def feed_of(run_dir: Path | None, place: Place, role: str | None = None) -> Path:
    """Where the process that is meant answers."""
    if role is not None and run_dir is None:
        return role_here(place, role, lenient=True).feed
    return run_dir / FEED if run_dir else place.running(FEED)


def console_of() -> Console:
    """Colours on a terminal only (NO_COLOR and TERM=dumb are obeyed); nothing is guessed about the text."""
    return Console(highlight=False, emoji=False, markup=False)


def print_json(node: NodeStatus) -> None:
    """A whole picture, for machines."""
    click.echo(json.dumps(as_json(node), indent=2))


def print_lines(lines: Iterable[page.Line]) -> None:
    """Print them, as wide as there is room."""
    console = console_of()
    console.print(rendered(page.fit(lines, columns_of(console))), soft_wrap=True)


def columns_of(console: Console) -> int:
    """As many as a terminal has, within reason; of a file or a pipe page.WIDTH."""
    return max(page.LEAST, min(console.width, page.WIDTH)) if console.is_terminal else page.WIDTH


commands: list[click.Command] = [status, reload]
