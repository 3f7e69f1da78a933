"""The manhole and the feed of a real process, through the real ssh client and the real command line."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, HostError
from morphnet.ops import feedclient
from morphnet.ops.rundir import FEED, KNOWN_HOSTS, MANHOLE, SSH_ALIAS, SSH_CONFIG
from tests.ops.pictures import NODE

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0  # seconds for anything that waits for another process


class Inside:
    """A process with a made-up node, in directories of its own."""

    def __init__(self, case: SynchronousTestCase, listen: str = "") -> None:
        # Not mktemp(): a unix socket's path must be short.
        self.root = Path(tempfile.mkdtemp(prefix="morph"))
        case.addCleanup(shutil.rmtree, self.root)
        self.run, self.state, self.keys = self.root / "run", self.root / "state", self.root / "keys"
        self.listen = listen
        self.start()
        case.addCleanup(self.stop)

    def start(self) -> None:
        """Start, and wait until it serves."""
        words = [
            sys.executable,
            "-m",
            "tests.lab.fake_node",
            str(self.run),
            str(self.state),
            str(self.keys),
            self.listen,
        ]
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None  # asked for above
        if self.process.stdout.readline() != "serving\n":
            raise AssertionError((self.root / "log").read_text())

    def stop(self, *, kill: bool = False) -> None:
        """End it, and wait for its end."""
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        self.process.communicate(timeout=PATIENCE)

    def ssh_command(self, *options: str) -> list[str]:
        return ["ssh", "-F", str(self.run / SSH_CONFIG), *options, SSH_ALIAS]

    def ssh(self, *command: str, options: tuple[str, ...] = (), said: str = "") -> subprocess.CompletedProcess[str]:
        """One ssh, from beginning to end."""
        words = [*self.ssh_command(*options), *command]
        return subprocess.run(words, input=said, capture_output=True, text=True, timeout=PATIENCE)

    def ssh_until(self, command: str, wanted: str) -> None:
        """One ssh after the other until its answer holds `wanted`: the process learns of some things by itself."""
        ends_at, answer = time.monotonic() + PATIENCE, ""
        while wanted not in answer:
            if time.monotonic() > ends_at:
                raise AssertionError(f"{command}: {wanted!r} is not in {answer!r}")
            answer = self.ssh(command).stdout

    def morphnet_command(self, *words: str) -> list[str]:
        program = [sys.executable, "-c", "from morphnet.cli import main; main()", words[0], "--run-dir", str(self.run)]
        return [*program, *words[1:]]

    def morphnet(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One `morphnet` command."""
        return subprocess.run(
            self.morphnet_command(*words),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )


class CommandTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.inside = Inside(self)

    def test_private(self) -> None:
        """Sockets, keys and directories are their owner's alone; they stay the same over a restart."""
        key = (self.inside.state / "manhole_ed25519").read_bytes()
        for path in self.inside.root.rglob("*"):
            if path.name not in ("log", "run", "state"):
                self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)
        for path in (self.inside.run, self.inside.state):
            self.assertEqual(path.stat().st_mode & 0o777, 0o700, path)
        self.inside.stop()
        self.assertFalse((self.inside.run / FEED).exists() or (self.inside.run / MANHOLE).exists())
        self.inside.start()
        self.assertEqual((self.inside.state / "manhole_ed25519").read_bytes(), key)
        self.assertEqual(self.inside.ssh("1+1").stdout, "2\n")

    def test_killed(self) -> None:
        """Sockets that a killed process left behind are replaced; those of a living one are not."""
        self.inside.stop(kill=True)
        self.assertTrue((self.inside.run / FEED).exists())
        self.inside.start()
        self.assertEqual(self.inside.ssh("1+1").stdout, "2\n")
        places = [str(path) for path in (self.inside.run, self.inside.state, self.inside.keys)]
        second = [sys.executable, "-m", "tests.lab.fake_node", *places]
        ended = subprocess.run(second, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("another process already serves", ended.stderr)
        self.assertEqual(self.inside.ssh("1+1").stdout, "2\n")

    def test_commands(self) -> None:
        """A command prints its answer and ends with an exit code; a mistake is one sentence and 1."""
        shown = self.inside.ssh("paths()")
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        self.assertIn("wlp3s0", shown.stdout)
        self.assertEqual(self.inside.ssh("cut(1)").stdout, "path 1 is closed\n")
        wrong = self.inside.ssh("cut(9)")
        self.assertEqual((wrong.stdout, wrong.returncode), ("no session has an open path 9\n", 1))
        traced = self.inside.ssh("trace(seconds=0.3)").stdout
        self.assertTrue(traced.endswith("trace for 0.3 s\nend of trace: 1 lines\n"), traced)
        many = self.inside.ssh(said="scheduler flow\nscheduler\nfoo(\n1)\nexit\ncut(1)\n")
        self.assertEqual(many.stdout.splitlines()[:2], ["1 session(s) use flow", "gateway.example: flow"])
        self.assertEqual((len(many.stdout.splitlines()), many.returncode), (3, 1))

    def test_morphnet(self) -> None:
        """`morphnet status` and `morphnet console` find the process by its run_dir."""
        self.assertIn("wlp3s0", self.inside.morphnet("status").stdout)
        self.assertIn('"name": "laptop"', self.inside.morphnet("status", "--json").stdout)
        self.assertEqual(self.inside.morphnet("console", "scheduler").stdout, "gateway.example: bond\n")
        self.assertEqual(self.inside.morphnet("console", "print('\\x1b]0;x\\x07' + 'a')").stdout, "a\n")
        refused = self.inside.morphnet("console", "cut", "9")
        self.assertEqual((refused.stdout, refused.returncode), ("no session has an open path 9\n", 1))

    def test_feed(self) -> None:
        """The feed's client: a status, a refusal, a stream, and a process that is gone."""
        door = self.inside.run / FEED
        self.assertEqual(feedclient.node_status(feedclient.ask(door, {"ask": "status"})), NODE)
        error = self.assertRaises(ConfigError, feedclient.ask, door, {"ask": "cut", "path": 77})
        self.assertEqual(str(error), "no session has an open path 77")
        stream: Iterator[dict[str, object]] = feedclient.follow(door, {"ask": "watch", "every": 0.1}, 5)
        self.assertEqual([next(stream)["name"] for _ in range(3)], ["laptop"] * 3)
        self.inside.stop()
        self.assertEqual(list(stream), [])
        gone = self.assertRaises(HostError, feedclient.ask, door, {"ask": "status"})
        self.assertIn("no morphnet is running here", str(gone))


class DoorTests(SynchronousTestCase):
    def setUp(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.inside = Inside(self, f"127.0.0.1:{port}")

    def _make_key(self, name: str) -> Path:
        path = self.inside.root / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, timeout=PATIENCE)
        return path

    def test_keys(self) -> None:
        """A key in authorized_keys enters at once; no other does, nor one with options or in others' file."""
        invited, stranger = self._make_key("invited"), self._make_key("stranger")
        public = invited.with_suffix(".pub").read_text()
        self._try(invited, 255)
        self.inside.keys.write_text(f"# who may enter\n\nno key at all\n{public}")
        self.inside.keys.chmod(0o644)
        self._try(invited, 0)
        self._try(stranger, 255)
        self.inside.keys.write_text(f'command="/bin/false" {public}')
        self._try(invited, 255)
        self.inside.keys.write_text(public)
        self.inside.keys.chmod(0o666)
        self._try(invited, 255)

    def _try(self, key: Path, code: int, user: str = "morph") -> str:
        """Enter with one key and no other."""
        config = (self.inside.run / SSH_CONFIG).read_text()
        own = self.inside.root / "ssh_config"
        own.write_text(re.sub(r"IdentityFile .*", f"IdentityFile {key}", config).replace("User morph", f"User {user}"))
        words = ["ssh", "-F", str(own), SSH_ALIAS, "1+1"]
        ended = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(ended.returncode, code, ended.stderr)
        return ended.stderr

    def test_only_by_key(self) -> None:
        """Neither a password nor a dialogue is offered, nor is any user let in but one."""
        stranger = self._make_key("stranger")
        self.assertIn("Permission denied (publickey)", self._try(stranger, 255))
        self.assertIn("Permission denied (publickey)", self._try(self.inside.run / "console_ed25519", 255, "root"))
        options = ("-o", "PreferredAuthentications=password,keyboard-interactive,none", "-o", "PubkeyAuthentication=no")
        refused = self.inside.ssh("1+1", options=options)
        self.assertEqual(refused.returncode, 255)
        self.assertIn("Permission denied (publickey)", refused.stderr)

    def test_console(self) -> None:
        """The local operator enters by the unix socket, whatever else is listened on."""
        self.assertEqual(self.inside.morphnet("console", "1+1").stdout, "2\n")

    def test_host_key(self) -> None:
        """A process with another host key is not believed."""
        known = self.inside.run / KNOWN_HOSTS
        other = self._make_key("other").with_suffix(".pub").read_text().split()[:2]
        known.write_text(" ".join([SSH_ALIAS, *other]) + "\n")
        self.assertEqual(self.inside.ssh("1+1").returncode, 255)

    def test_nothing_else(self) -> None:
        """No forwarding and no subsystem."""
        forward = self.inside.ssh(options=("-W", "127.0.0.1:1"))
        self.assertNotEqual(forward.returncode, 0)
        self.assertNotEqual(self.inside.ssh("sftp", options=("-s",)).returncode, 0)
        self.assertEqual(self.inside.ssh("1+1").stdout, "2\n")

    def test_junk(self) -> None:
        """What is not SSH is turned away, and more connections than allowed are closed; then one enters again."""
        address = self.inside.listen.split(":")[0], int(self.inside.listen.split(":")[1])
        idle = [socket.create_connection(address, PATIENCE) for _ in range(9)]
        self.assertEqual(_to_the_end(idle[8]), b"")
        self.assertNotEqual(self.inside.ssh("1+1").returncode, 0)
        for each in idle:
            each.close()
        with socket.create_connection(address, PATIENCE) as junk:
            junk.sendall(b"\0" * 65536)
        self.inside.ssh_until("1+1", "2\n")


def _to_the_end(connection: socket.socket) -> bytes:
    whole = b""
    while chunk := connection.recv(4096):
        whole += chunk
    return whole


class PromptTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.inside = Inside(self)

    def enter(self, *words: str) -> None:
        """Run a command with a terminal of its own."""
        self.pid, self.terminal = pty.fork()
        if not self.pid:
            os.chdir(ROOT)
            os.execvp(words[0], words)
        self.addCleanup(os.close, self.terminal)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))

    def _until(self, wanted: str) -> str:
        """What is shown until `wanted` is; colours left out."""
        shown, ends_at = "", time.monotonic() + PATIENCE
        while wanted not in shown:
            if not select.select([self.terminal], [], [], max(0.0, ends_at - time.monotonic()))[0]:
                raise AssertionError(f"{wanted!r} did not come: {shown!r}")
            shown += os.read(self.terminal, 65536).decode(errors="replace")
            shown = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown)
        return shown

    def test_prompt(self) -> None:
        """Greeted with the state; look, act, complete, err, trace, leave with exit code 0."""
        self.enter(*self.inside.morphnet_command("console"))
        greeting = self._until("leaves.\r\n>>> ")
        self.assertIn("client laptop  connected", greeting)
        self.assertIn("192.168.1.23:51820 -> 203.0.113.7:8000", greeting)
        for typed, wanted in (
            (b"pat\t\r", "wlp3s0"),
            (b"cut(1)\r", "path 1 is closed"),
            (b"cut(9)\r", "no session has an open path 9"),
            (b"scheduler('best')\r", "1 session(s) use best"),
            (b"trace(seconds=0.2)\r", "end of trace: 1 lines"),
            (b"\x1b[A\r", "end of trace: 1 lines"),
            (b"1 +\x03", "KeyboardInterrupt"),
            (b"for n in range(2): print('n', n)\r\r", "n 1"),
        ):
            os.write(self.terminal, typed)
            self._until(wanted)
        os.write(self.terminal, b"\x04")
        self.assertEqual(os.waitpid(self.pid, 0)[1], 0)
        self.assertNotIn("Traceback", (self.inside.root / "log").read_text())

    def test_torn(self) -> None:
        """A client that is killed in the middle of a trace leaves nothing behind."""
        self.enter(*self.inside.ssh_command("-t"))
        self._until(">>> ")
        os.write(self.terminal, b"trace(seconds=600)\r")
        self._until("trace for 600 s")
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        self.inside.ssh_until("node.asked[-1]", "trace stopped")
        self.assertNotIn("Traceback", (self.inside.root / "log").read_text())
