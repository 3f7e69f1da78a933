"""Whose process serves a unix socket, and an end to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.ops.running import Held, command_of, server_of


class ServerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_nobody(self) -> None:
        """Where there is no socket, or one that a killed process left, there is nobody."""
        self.assertEqual(server_of(self.path), 0)
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(os.fspath(self.path))
        self.assertTrue(self.path.exists())
        self.assertEqual(server_of(self.path), 0)

    def test_silent(self) -> None:
        """Who listens is known from the kernel, though it answers nothing."""
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(os.fspath(self.path))
            door.listen()
            self.assertEqual(server_of(self.path), os.getpid())

    def test_too_long(self) -> None:
        """At a path that no socket can have there is nobody."""
        self.assertEqual(server_of(Path("/" + "x" * 200)), 0)


class HeldTests(SynchronousTestCase):
    def test_end(self) -> None:
        """It is told, its end is seen, and then it is told in vain."""
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(child.communicate)
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(b"here\n")
        child.stdin.flush()
        child.stdout.readline()  # before that the kernel may not know its command line
        held = Held(child.pid)
        self.addCleanup(held.close)
        self.assertEqual(command_of(child.pid), ["cat"])
        self.assertFalse(held.ended(0))
        held.tell(signal.SIGKILL)
        self.assertTrue(held.ended(60))
        child.wait()
        held.tell(signal.SIGKILL)
        self.assertEqual(command_of(child.pid), [])
        self.assertRaises(HostError, Held, child.pid)
