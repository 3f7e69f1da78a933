"""What a killed process left must not keep the next one from starting."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tap.pidfile import DEFAULT, command_of, settle

OURS, OTHERS = b"/usr/bin/python3\0/opt/morphnet/bin/twistd\0-n\0morph-server\0", b"sh\0-c\0sleep\0"


class PidfileTests(SynchronousTestCase):
    def setUp(self) -> None:
        """:ivar file: as it was found."""
        self.file = Path(self.mktemp())

    def left(self, text: str, command: bytes, *, foreground: bool = False) -> bool:
        """Whether a file with this text is there still, the process of its number being `command`."""
        self.file.write_text(text)
        twistd: dict[str, Any] = {"pidfile": str(self.file), "nodaemon": foreground}
        settle(twistd, lambda process: command)
        self.assertEqual(twistd["pidfile"], str(self.file))
        return self.file.exists()

    def test_foreground(self) -> None:
        """In the foreground no file is looked at or made, unless it was asked for by name."""
        for foreground, expected in ((True, ""), (False, DEFAULT)):
            twistd: dict[str, Any] = {"pidfile": DEFAULT, "nodaemon": foreground}
            settle(twistd, lambda process: OURS)
            self.assertEqual(twistd["pidfile"], expected)
        settle(none := {"pidfile": None, "nodaemon": False})
        self.assertEqual(none["pidfile"], None)

    def test_stale(self) -> None:
        """A file that names nobody, somebody else or ourselves (as in a container), or is torn, goes away."""
        for foreground in (True, False):
            self.assertFalse(self.left("17\n", b"", foreground=foreground))
            self.assertFalse(self.left("17", OTHERS, foreground=foreground))
            self.assertFalse(self.left(str(os.getpid()), OURS, foreground=foreground))
            self.assertFalse(self.left("", b"", foreground=foreground))

    def test_living(self) -> None:
        """One that names another twistd stays, and so does a file that is none of twistd's."""
        self.assertTrue(self.left("17", OURS))
        self.assertTrue(self.left("my notes", b""))
        self.assertTrue(self.left("17 and more than a number", b""))

    def test_command(self) -> None:
        """The command of a process that is there, and nothing of one that is not."""
        self.assertIn(b"python", command_of(os.getpid()))
        self.assertEqual(command_of(1 << 40), b"")
