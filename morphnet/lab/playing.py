"""
What every demo does around its own: options, whether this machine has room for a box, what came of it, exit code.

Source: docs/lab, "Demos".
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console

from morphnet.lab.enter import why_not

NO_ROOM = 77  # exit code where this machine lacks something


def options_of(doc: str | None) -> argparse.ArgumentParser:
    """
    What every demo is told; each adds its own.

    :param doc: of its module: the first paragraph says what it is.
    """
    parser = argparse.ArgumentParser(description=(doc or "").split("\n\n")[0].strip())
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return parser


def play(
    options: argparse.Namespace,
    act: Callable[[Console], dict[str, Any]],
    report: Callable[[Console, dict[str, Any]], None],
    lacks: str | None = None,
) -> int:
    """
    Run a demo: 0 if its promises were kept, 1 if not, 77 where it cannot run.

    :param act: does all of it, and answers with everything that was counted, as JSON values.
    :param report: shows that to a person.
    :param lacks: what is not here besides a box, if anything.
    """
    reason = why_not() or lacks
    if reason is not None:
        print(f"demo: {reason}", file=sys.stderr)
        return NO_ROOM
    console = Console(stderr=options.json, quiet=options.json)
    told = act(console)
    if options.json:
        print(json.dumps(told))
    else:
        report(console, told)
    return 0 if told["kept"] else 1
