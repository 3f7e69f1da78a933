"""A role as a process in the background, with a program in twistd's place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from morphnet.cli import background
from morphnet.cli.running import Role, role_here
from morphnet.errors import HostError
from tests.cli.case import CommandCase

TWISTD = """\
#!/bin/sh
echo "$@" > {seen}
umask >> {seen}
echo "morphnet: {sentence}" >&2
exit {code}
"""


class StartTests(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.init()
        self.role = role_here(self.place, "server")
        self.bin = Path(self.mktemp()).absolute()
        self.bin.mkdir()
        self.seen = self.bin / "seen"
        self.patch(sys, "executable", str(self.bin / "python"))

    def twistd(self, sentence: str = "", code: int = 0) -> None:
        """What stands in its place says this, and ends so."""
        (self.bin / "python").write_text(TWISTD.format(seen=self.seen, sentence=sentence, code=code))
        (self.bin / "python").chmod(0o755)

    def test_started(self) -> None:
        """It gets its configuration, and files of its own for its number and its log, which nobody else reads."""
        self.twistd()
        background.start(self.role)
        program, *words, umask = self.seen.read_text().split()
        self.assertEqual(program, "-P")
        self.assertEqual(
            words,
            [
                *("-m", "morphnet.tap.twistd"),
                f"--pidfile={self.place.run_dir}/morph-server.pid",
                f"--logfile={self.place.state_dir}/morph-server.log",
                *("--rundir=/", "morph-server", "--config", str(self.place.server_toml)),
            ],
        )
        self.assertEqual((umask, self.modes()["run"], self.modes()["state"]), ("0077", "0o700", "0o700"))

    def test_not_started(self) -> None:
        """What it says is why; if it says nothing, its log does."""
        self.twistd("port 8443 is in use", 1)
        self.assertIn("server: port 8443 is in use", str(self.assertRaises(HostError, background.start, self.role)))
        (self.bin / "python").write_text("#!/bin/sh\nexit 1\n")
        self.assertIn("morph-server.log", str(self.assertRaises(HostError, background.start, self.role)))

    def test_foreign_directory(self) -> None:
        """Root writes nothing where another user could have put a link."""
        self.twistd()
        self.patch(os, "geteuid", lambda: 12345)
        self.assertIn("another user's", str(self.assertRaises(HostError, background.start, self.role)))
        self.assertFalse(self.seen.exists())


class StopTests(CommandCase):
    def child(self, *words: str) -> subprocess.Popen[bytes]:
        """A process that is taken for the server's."""
        self.init()
        self.role = role_here(self.place, "server")
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None  # it was asked for
            self.addCleanup(pipe.close)
        assert child.stdout is not None
        child.stdout.readline()
        self.patch(Role, "process", lambda role: child.pid if child.poll() is None else 0)
        return child

    def test_stopped(self) -> None:
        """It is asked to end, also one that stands still; nothing that does not run is stopped."""
        child = self.child("sh", "-c", "trap 'exit 7' TERM; echo ready; read line")
        child.send_signal(signal.SIGSTOP)
        self.assertTrue(background.stop(self.role))
        self.assertEqual(child.wait(), 7)
        self.assertFalse(background.stop(self.role))

    def test_restarted(self) -> None:
        """It is told that the next one comes, and that one comes when it has ended."""
        child = self.child("sh", "-c", "trap 'exit 7' USR2; echo ready; read line")
        self.patch(background, "start", lambda role: self.assertEqual(child.poll(), 7))
        background.restart(self.role)
        self.assertEqual(child.wait(), 7)

    def test_deaf(self) -> None:
        """One that does not end when it is asked is ended."""
        child = self.child("sh", "-c", "trap '' TERM; echo ready; exec sleep 60")
        self.patch(background, "STOP", 0.2)
        self.assertTrue(background.stop(self.role))
        self.assertEqual(child.wait(), -signal.SIGKILL)

    def test_traces(self) -> None:
        """Nothing to undo is nothing done; sockets that are served stay, what is left of a process goes."""
        self.init()
        role = role_here(self.place, "server")
        self.assertEqual(background.undo(role), 0)
        role.config.run_dir.mkdir()
        for file in (role.pid_file, role.feed):
            file.touch()
        self.patch(background, "server_of", lambda path: 7)
        background.tidy(role)
        self.assertEqual([role.pid_file.exists(), role.feed.exists()], [False, True])
        self.patch(background, "server_of", lambda path: 0)
        background.tidy(role)
        self.assertFalse(role.feed.exists())
