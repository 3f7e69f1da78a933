"""A process that does not start says why, and with which code it ends."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.manhole import ManholeConfig
from morphnet.errors import ConfigError, HostError
from morphnet.ops import node as ops
from morphnet.roles.process import process
from morphnet.roles.process.process import Process
from tests.roles.process.test_stopping import FakeSettings

ALL_OF_US = ("heed_signals", "live_by", "settle_memory")  # what changes the process that the tests are


class Hindered(Process):
    """Cannot open its doors."""

    trouble: Exception

    def open(self) -> ops.Node:
        raise self.trouble


class StartTests(SynchronousTestCase):
    def test_codes(self) -> None:
        """What the operator must change has a code of its own; what may be there the next time has not."""
        for name in ALL_OF_US:
            self.patch(process, name, lambda *_: None)
        self.patch(process, "allow_files", lambda: 1024)
        for trouble, code, sentence in (
            (ConfigError("set it to 3"), os.EX_CONFIG, "set it to 3"),
            (HostError("no such device"), 1, "no such device"),
            (OSError(28, "No space left on device", "x"), 1, "x: No space left on device"),
        ):
            place = Path(self.mktemp()).absolute()
            hindered = Hindered(FakeSettings(place / "state", place / "run", ManholeConfig()), Clock())
            hindered.trouble = trouble
            os.close(hindered._terminal)
            said, hindered._terminal = os.pipe()
            self.addCleanup(os.close, said)
            self.assertEqual(self.assertRaises(SystemExit, hindered.startService).code, code)
            self.assertEqual(os.read(said, 100).decode(), f"morphnet: {sentence}\n")
