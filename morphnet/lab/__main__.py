"""
Networks in a box, from the command line.

    python -m morphnet.lab --list
    python -m morphnet.lab --dry-run two_uplinks      what it would make
    python -m morphnet.lab shell two_uplinks server   make it, and work in one of its nodes
"""

from __future__ import annotations

import argparse
import os
import sys

from morphnet.errors import MorphnetError
from morphnet.lab import enter
from morphnet.lab.box import Box
from morphnet.lab.topologies import NAMED, Topology


def _shell(topology: Topology, name: str) -> int:
    """A shell in a node, until it ends."""
    if not enter.privileged():
        inside = [sys.executable, "-m", "morphnet.lab.enter", "--", sys.executable, "-m", "morphnet.lab", *sys.argv[1:]]
        os.execv(inside[0], inside)
    with Box(topology) as box:
        for node in box.nodes.values():
            print(f"{node.name}: python -m morphnet.lab.enter --join {node.pid} -- COMMAND")
        print(f"You are in {name}; all of it ends with this shell.", flush=True)
        return int(box.node(name).popen([os.environ.get("SHELL", "/bin/sh")]).wait())


def main() -> int:
    """The command line."""
    options = argparse.ArgumentParser(
        prog="python -m morphnet.lab", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--list", action="store_true", help="the topologies that have a name")
    options.add_argument("--dry-run", metavar="TOPOLOGY", choices=NAMED, help="print what would be made")
    verbs = options.add_subparsers(dest="verb")
    shell = verbs.add_parser("shell", help="make a network, and work in it")
    shell.add_argument("topology", choices=NAMED)
    shell.add_argument("node", nargs="?", default="client")
    asked = options.parse_args()
    if asked.list:
        print("\n".join(NAMED))
    elif asked.dry_run:
        print("\n".join(NAMED[asked.dry_run]().describe()))
    elif asked.verb:
        topology = NAMED[asked.topology]()
        if asked.node not in {node.name for node in topology.nodes}:
            shell.error(f"no node {asked.node} in {topology.name}")
        try:
            return _shell(topology, asked.node)
        except MorphnetError as error:
            print(f"lab: {error}", file=sys.stderr)
            return 1
    else:
        options.print_help()
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
