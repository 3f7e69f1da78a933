"""The door of the lab: namespaces of one's own, and nothing of them outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab import enter
from morphnet.lab.box import ENTER, ROOT, environment

PYTHON = (sys.executable, "-c")
SEEN = """
import json, os, socket
print(json.dumps({
    "net": os.readlink("/proc/self/ns/net"), "cwd": os.getcwd(), "run": os.listdir("/run"), "uid": os.getuid(),
    "devices": [name for _, name in socket.if_nameindex()], "host": socket.gethostname(),
}))
"""


def entered(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The door with these arguments, to its end."""
    command = [*ENTER, *arguments]
    return subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=20)


def seen(*arguments: str) -> dict[str, Any]:
    """What a process sees behind the door."""
    done = entered(*arguments, "--", *PYTHON, SEEN)
    if done.returncode:
        raise AssertionError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def gone(pid: int, within: float = 5.0) -> bool:
    """Whether a process ends within some seconds (a zombie has ended)."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


class EnterTests(SynchronousTestCase):
    skip = enter.why_not()

    def test_fresh(self) -> None:
        """Inside there is a network with nothing but `lo`, an empty /run, and root; the directory stays."""
        found = seen()
        self.assertNotEqual(found["net"], os.readlink("/proc/self/ns/net"))
        self.assertEqual((found["run"], found["uid"], found["cwd"]), ([], 0, str(ROOT)))
        self.assertIn("lo", found["devices"])

    def test_loopback(self) -> None:
        """`lo` is up: a connection to 127.0.0.1 works."""
        code = "import socket as s; l = s.create_server(('127.0.0.1', 0)); s.create_connection(l.getsockname(), 2)"
        self.assertEqual(entered("--", *PYTHON, code).stderr, "")

    def test_exit_code(self) -> None:
        """The command's exit code is ours; a command that is not there is 127, words we do not know are 2."""
        self.assertEqual(entered("--", *PYTHON, "raise SystemExit(3)").returncode, 3)
        self.assertEqual(entered("--", "/no/such/program").returncode, 127)
        self.assertEqual(entered("--no-such-word").returncode, 2)

    def test_quick(self) -> None:
        """The door imports nothing but the standard library, since every command in a box goes through it."""
        code = "import sys; import morphnet.lab.enter; print([m for m in sys.modules if m.startswith('pyroute2')])"
        done = subprocess.run([*PYTHON, code], env=environment(), capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout, "[]\n")

    def test_no_tun(self) -> None:
        """Where /dev/net/tun is missing, `why_not` says so and the door stays shut with 77."""
        code = f"""
import subprocess
from morphnet.lab import enter
enter.mount("tmpfs", "/dev/net", "tmpfs", 0)
print(subprocess.run({[*ENTER, "--", "true"]!r}).returncode, enter.why_not())
"""
        done = entered("--", *PYTHON, code)
        self.assertEqual(done.stdout, "77 there is no /dev/net/tun: load the kernel module tun\n", done.stderr)


class HoldTests(SynchronousTestCase):
    skip = enter.why_not() or (None if enter.privileged() else "not inside `python -m morphnet.lab.enter --`")

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.node = Path(temporary.name, "somewhere")
        (self.node / "run").mkdir(parents=True)
        (self.node / "hosts").write_text("203.0.113.1 gw.example\n")
        (self.node / "resolv.conf").write_text("nameserver 203.0.113.1\n")

    def hold(self) -> subprocess.Popen[bytes]:
        """A node, ready."""
        command = [*ENTER, "--hold", str(self.node)]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert holder.stdin is not None and holder.stdout is not None
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        self.addCleanup(holder.stdin.close)
        self.addCleanup(holder.stdout.close)
        self.assertEqual(holder.stdout.readline(), b"ready\n")
        return holder

    def test_join(self) -> None:
        """Whoever joins is in the node's network, with its host name, its /run and its names."""
        holder = self.hold()
        (self.node / "run" / "mark").write_text("")
        found = seen("--join", str(holder.pid))
        self.assertEqual(found["net"], os.readlink(f"/proc/{holder.pid}/ns/net"))
        self.assertEqual((found["host"], found["run"], found["cwd"]), ("somewhere", ["mark"], str(ROOT)))
        code = "import socket; print(socket.gethostbyname('gw.example'), open('/etc/resolv.conf').read(), end='')"
        done = entered("--join", str(holder.pid), "--", *PYTHON, code)
        self.assertEqual(done.stdout, "203.0.113.1 nameserver 203.0.113.1\n")

    def test_join_nobody(self) -> None:
        """A process that is gone cannot be joined: one line and 77."""
        holder = self.hold()
        holder.kill()
        holder.wait()
        done = entered("--join", str(holder.pid), "--", "true")
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (77, 1))

    def test_end(self) -> None:
        """A node ends as soon as its stdin does."""
        holder = self.hold()
        assert holder.stdin is not None
        holder.stdin.close()
        self.assertEqual(holder.wait(5), 0)

    def test_killed(self) -> None:
        """A node ends with its maker, even by kill -9 and with stdin still open elsewhere."""
        code = f"""
import subprocess, sys, time
holder = subprocess.Popen({[*ENTER, "--hold", str(self.node)]!r}, stdout=subprocess.PIPE)  # our stdin
holder.stdout.readline()
print(holder.pid, flush=True)
time.sleep(30)
"""
        pipe = subprocess.PIPE
        with subprocess.Popen([*PYTHON, code], stdin=pipe, stdout=pipe) as maker:
            assert maker.stdout is not None
            pid = int(maker.stdout.readline())
            maker.send_signal(signal.SIGKILL)
            maker.wait()
            self.assertTrue(gone(pid))
