"""A process with a feed, a manhole and a made-up node behind them: `python -m tests.lab.fake_node RUN STATE KEYS`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet import reactor
from twisted.logger import globalLogBeginner, textFileLogObserver

from morphnet.config.manhole import ManholeConfig
from morphnet.ops.feed import FeedService
from morphnet.ops.manhole import ManholeService
from morphnet.ops.rundir import FEED
from tests.ops.fakes import FakeNode
from tests.ops.pictures import NOW


def main(run_dir: str, state_dir: str, authorized_keys: str, listen: str = "") -> None:
    """Serve until a signal comes."""
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    node, run, parts = FakeNode(), Path(run_dir), MultiService()
    config = ManholeConfig(listen=listen, authorized_keys=Path(authorized_keys))
    FeedService(reactor, run / FEED, node).setServiceParent(parts)
    ManholeService(reactor, config, run, Path(state_dir), node, lambda: NOW).setServiceParent(parts)
    process: Any = reactor
    process.addSystemEventTrigger("before", "shutdown", parts.stopService)
    parts.startService()
    process.callWhenRunning(print, "serving", flush=True)  # not before: until then a signal would just kill us
    process.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
