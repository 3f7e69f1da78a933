"""`morphnet why`, `ping` and `netcheck`: the other machines of the network, and the ways to them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from morphnet.cli.layout import Place, dir_option
from morphnet.cli.live import columns_of, console_of, feed_of, print_lines, run_dir_option
from morphnet.ops import feedclient
from morphnet.ops.netcheck import netcheck_lines
from morphnet.ops.picture import pong_text
from morphnet.ops.units import delay
from morphnet.ops.why import why_lines
from morphnet.status import Pong, as_json

WITHIN = 2.0  # seconds to wait for one answer
json_option = click.option("--json", "for_machines", is_flag=True, help="One JSON object, for machines.")


@click.command()
@click.argument("peer")
@json_option
@run_dir_option
@dir_option
def why(peer: str, for_machines: bool, run_dir: Path | None, place: Place) -> None:
    """Why PEER is reached as it is: what was tried and decided, and how it stands now."""
    found = feedclient.peer_status(feedclient.ask(feed_of(run_dir, place), {"ask": "why", "name": peer}))
    if for_machines:
        click.echo(json.dumps(as_json(found), indent=2))
    else:
        print_lines(why_lines(found, time.time(), columns_of(console_of())))


@click.command()
@click.argument("peer")
@click.option("--count", type=click.IntRange(1), default=4, show_default=True, help="How many.")
@click.option("--interval", type=click.FloatRange(0.01, 3600), default=1.0, show_default=True, help="Seconds.")
@click.option("--json", "as_lines", is_flag=True, help="One JSON object a line, one for each, for machines.")
@run_dir_option
@dir_option
def ping(peer: str, count: int, interval: float, as_lines: bool, run_dir: Path | None, place: Place) -> None:
    """Ask PEER whether it is there, by the way that traffic would take now."""
    feed, seen = feed_of(run_dir, place), list[Pong]()
    request = {"ask": "ping", "name": peer, "seconds": WITHIN}
    try:
        for turn in range(count):
            begun = time.monotonic()
            seen.append(feedclient.pong(feedclient.ask(feed, request, WITHIN + feedclient.PATIENCE)))
            click.echo(json.dumps(as_json(seen[-1])) if as_lines else pong_text(seen[-1], WITHIN))
            if turn < count - 1:
                time.sleep(max(0.0, begun + interval - time.monotonic()))
    except KeyboardInterrupt:
        pass  # how one leaves early
    if seen and not as_lines:
        click.echo(summary(seen))
    if all(pong.rtt is None for pong in seen):
        raise SystemExit(1)


def summary(pongs: Sequence[Pong]) -> str:
    """What came of all of them."""
    rtts = [pong.rtt for pong in pongs if pong.rtt is not None]
    ways = Counter(pong.way for pong in pongs if pong.rtt is not None)
    told = f"{len(pongs)} sent, {len(rtts)} answered"
    if rtts:
        told += f" ({', '.join(f'{count} {way}' for way, count in ways.items())})"
        told += f"; least {delay(min(rtts))}, mean {delay(sum(rtts) / len(rtts))}, most {delay(max(rtts))}"
    return told


@click.command()
@json_option
@run_dir_option
@dir_option
def netcheck(for_machines: bool, run_dir: Path | None, place: Place) -> None:
    """What stands between this machine and the others: NATs, IPv6, port mapping, and how far the relays are."""
    found = feedclient.netcheck_status(feedclient.ask(feed_of(run_dir, place), {"ask": "netcheck"}))
    if for_machines:
        click.echo(json.dumps(as_json(found), indent=2))
    else:
        print_lines(netcheck_lines(found))


commands: list[click.Command] = [why, ping, netcheck]
