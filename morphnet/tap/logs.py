"""
The log of a process: what it says itself, and what Twisted warns of; each a line of text, or with --log-json an object.
The journal of systemd has the time and the program already: it gets the text alone, and how grave it is.

Twisted tells of every port that is opened and every step of SSH. None of that is for who reads the log of a tunnel.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from twisted.logger import FileLogObserver, ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from twisted.scripts._twistd_unix import UnixAppLogger  # it alone knows where twistd logs to
from zope.interface import implementer

_HUMBLE = ("morphnet.ops.manhole", "morphnet.ops.ssh")  # ours, as Twisted made it: SSH
_OURS = ("morphnet", "stdout", "stderr")
_GRAVITIES = {"critical": 2, "error": 3, "warn": 4}  # sd-daemon(3); all else is 6
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


def for_journal(event: LogEvent) -> str:
    """
    Lines that begin with how grave it is: "<4>wan0: no route".

    Source: sd-daemon(3).
    """
    level: Any = event.get("log_level", LogLevel.info)
    failure = event.get("log_failure")
    text = formatEvent(event) + (f"\n{failure.getTraceback()}" if isinstance(failure, Failure) else "")
    return "".join(f"<{_GRAVITIES.get(level.name, 6)}>{line}\n" for line in text.splitlines())


def is_journal(file: Any) -> bool:
    """
    Whether what is written to a file of Python's goes to the journal.

    Source: systemd.exec(5), JOURNAL_STREAM.
    """
    try:
        about = os.fstat(file.fileno())
    except (AttributeError, OSError, ValueError):  # no file of the system's
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{about.st_dev}:{about.st_ino}"


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
    plain = _plain()
    return Filtered(FileLogObserver(plain._outFile, for_journal) if is_journal(plain._outFile) else plain)


def objects() -> ILogObserver:
    """What twistd calls: lines of JSON."""
    return Filtered(FileLogObserver(_plain()._outFile, as_object))


def _plain() -> Any:
    """Twisted's own, on the file that twistd was told of."""
    return UnixAppLogger({**_twistd, "logger": None})._getLogObserver()
