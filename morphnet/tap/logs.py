"""
The log of a process: what it says itself, and what Twisted warns of; each a line of text, or with --log-json an object.

Twisted tells of every port that is opened and every step of SSH. None of that is for who reads the log of a tunnel.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from twisted.logger import FileLogObserver, ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from twisted.scripts._twistd_unix import UnixAppLogger  # it alone knows where twistd logs to
from zope.interface import implementer

_HUMBLE = ("morphnet.ops.manhole",)  # ours, as Twisted made it: SSH
_OURS = ("morphnet", "stdout", "stderr")
_twistd: dict[str, Any] = {}  # its options: it calls what makes the log by a name, without a word of them


def is_for_people(event: LogEvent) -> bool:
    """Whether it is in the log."""
    level, namespace = event.get("log_level", LogLevel.info), str(event.get("log_namespace", ""))
    if level >= LogLevel.warn:
        return True
    return level >= LogLevel.info and namespace.startswith(_OURS) and not namespace.startswith(_HUMBLE)


def as_object(event: LogEvent) -> str:
    """
    One line of JSON: `at` (Unix seconds), `time` (UTC), `level`, `source`, `text`; of a happening `kind` and `session`,
    as `morphnet events --json` has them; of what was not expected `traceback`.
    """
    at, failure = float(event.get("log_time", 0.0)), event.get("log_failure")
    level: Any = event.get("log_level", LogLevel.info)
    found: dict[str, Any] = {
        "at": at,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
        "level": level.name,
        "source": str(event.get("log_namespace", "")),
        "text": formatEvent(event),
    }
    if "kind" in event:
        found |= {"kind": event["kind"], "session": event["session"], "text": event["text"]}
    if isinstance(failure, Failure):
        found["traceback"] = failure.getTraceback()
    return json.dumps(found) + "\n"


@implementer(ILogObserver)
class Filtered:
    """Passes on what is for people."""

    def __init__(self, to: Callable[[LogEvent], None]) -> None:
        self._to = to

    def __call__(self, event: LogEvent) -> None:
        if is_for_people(event):
            self._to(event)


def settle(twistd: MutableMapping[str, Any], *, as_json: bool) -> None:
    """
    Have twistd log so, wherever it was told to log to, unless it was given a logger or syslog: called when it has read
    its command line.

    :param twistd: its options.
    """
    if not twistd.get("logger") and not twistd.get("syslog"):
        _twistd.update(twistd)
        twistd["logger"] = f"{__name__}.{(objects if as_json else lines).__name__}"


def lines() -> ILogObserver:
    """What twistd calls: lines of text."""
    return Filtered(_plain())


def objects() -> ILogObserver:
    """What twistd calls: lines of JSON."""
    return Filtered(FileLogObserver(_plain()._outFile, as_object))


def _plain() -> Any:
    """Twisted's own, on the file that twistd was told of."""
    return UnixAppLogger({**_twistd, "logger": None})._getLogObserver()
