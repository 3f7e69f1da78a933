"""`morphnet why`, `ping` and `netcheck`: the other machines of the network, and the ways to them."""

from __future__ import annotations

import time
from pathlib import Path

import click

from morphnet.cli.live import console_of, feed_of, rendered, run_dir_option
from morphnet.cli.place import Place, dir_option
from morphnet.ops import feedclient
from morphnet.ops.why import peer_named, why_lines


@click.command()
@click.argument("peer")
@run_dir_option
@dir_option
def why(peer: str, run_dir: Path | None, place: Place) -> None:
    """Why PEER is reached as it is: what was tried and decided, and how it stands now."""
    node = feedclient.node_status(feedclient.ask(feed_of(run_dir, place), {"ask": "status"}))
    console_of().print(rendered(why_lines(peer_named(node, peer), time.time())), soft_wrap=True)


commands: list[click.Command] = [why]
