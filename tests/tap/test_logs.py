"""What is in the log of a process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from twisted.logger import LogEvent, Logger, LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.eventlog import EventLog
from morphnet.status import Happening
from morphnet.tap import logs
from morphnet.tap.logs import as_object, for_journal, is_for_people, is_journal, settle


def event(namespace: str, level: LogLevel = LogLevel.info) -> LogEvent:
    """One that somebody has logged."""
    return {"log_namespace": namespace, "log_level": level, "log_format": "x", "log_time": 1000000000.25}


class LogTests(SynchronousTestCase):
    def test_for_people(self) -> None:
        """Our own lines, and warnings of all; no step of SSH, no port that is opened, nothing for programmers."""
        for namespace, level, wanted in (
            ("morphnet", LogLevel.info, True),
            ("morphnet.host.watch.HostWatch", LogLevel.warn, True),
            ("stdout", LogLevel.info, True),
            ("twisted.internet.defer", LogLevel.critical, True),
            ("twisted.conch.ssh.session", LogLevel.info, False),
            ("morphnet.ops.manhole._Transport", LogLevel.info, False),
            ("morphnet.ops.manhole", LogLevel.warn, True),
            ("log_legacy", LogLevel.info, False),
            ("morphnet", LogLevel.debug, False),
        ):
            self.assertIs(is_for_people(event(namespace, level)), wanted, (namespace, level))

    def test_object(self) -> None:
        """Each line is an object; a happening has its kind, its session and its sentence apart."""
        found = json.loads(as_object(event("morphnet")))
        self.assertEqual(found["time"], "2001-09-09T01:46:40Z")
        self.assertEqual((found["at"], found["level"], found["text"]), (1000000000.25, "info", "x"))
        with capturedLogs() as lines:
            EventLog(lambda: 0.0).say(Happening(1, 0.0, "path-silent", "gw", "is lost"))
        found = json.loads(as_object(lines[0]))
        self.assertEqual((found["kind"], found["session"], found["text"]), ("path-silent", "gw", "is lost"))

    def test_traceback(self) -> None:
        """What nobody expected comes whole, and on one line."""
        with capturedLogs() as lines:
            Logger(namespace="morphnet").failure("broken", Failure(ZeroDivisionError("x")))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        text = as_object(lines[0])
        self.assertEqual(text.count("\n"), 1)
        self.assertIn("ZeroDivisionError", json.loads(text)["traceback"])

    def test_journal(self) -> None:
        """The journal gets the text and how grave it is, each line of a traceback by itself."""
        self.assertEqual(for_journal(event("morphnet")), "<6>x\n")
        self.assertEqual(for_journal(event("morphnet", LogLevel.warn)), "<4>x\n")
        with capturedLogs() as lines:
            Logger(namespace="morphnet").failure("broken", Failure(ZeroDivisionError("x")))
        self.flushLoggedErrors(ZeroDivisionError)
        text = for_journal(lines[0]).splitlines()
        self.assertEqual({line[:3] for line in text}, {"<2>"})
        self.assertEqual((text[0], text[-1]), ("<2>broken", "<2>Failure: builtins.ZeroDivisionError: x"))

    def test_is_journal(self) -> None:
        """It is the journal when systemd has named that very file."""
        with Path(self.mktemp()).open("w") as file:
            about = os.fstat(file.fileno())
            for named, found in ((f"{about.st_dev}:{about.st_ino}", True), ("1:2", False)):
                self.patch(os, "environ", {"JOURNAL_STREAM": named})
                self.assertIs(is_journal(file), found)
        self.assertIs(is_journal(object()), False)

    def written(self, options: dict[str, Any], *, as_json: bool) -> str:
        """What is in the log file after three lines."""
        path = Path(self.mktemp())
        twistd = {"logfile": str(path), "nodaemon": True, **options}
        made, plain = list[Any](), logs._plain

        def remembered() -> Any:
            made.append(plain())
            return made[-1]

        self.patch(logs, "_plain", remembered)
        settle(twistd, as_json=as_json)
        observer = namedAny(twistd["logger"])()
        for namespace in ("morphnet", "twisted.conch.ssh.session", "morphnet.roles"):
            observer(event(namespace))
        made[0]._outFile.close()
        return path.read_text()

    def test_settle(self) -> None:
        """It goes where twistd was told to log to."""
        self.assertEqual(self.written({}, as_json=False).count("[morphnet"), 2)
        lines = self.written({}, as_json=True).splitlines()
        self.assertEqual([json.loads(line)["source"] for line in lines], ["morphnet", "morphnet.roles"])

    def test_own_logger(self) -> None:
        """Who gave twistd a logger of his own, or syslog, has that."""
        for given in ({"logger": "somebody.else"}, {"syslog": True}):
            twistd = dict(given)
            settle(twistd, as_json=True)
            self.assertEqual(twistd, given)
