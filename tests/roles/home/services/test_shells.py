"""What runs on a terminal: a login shell, and a real `ssh` to a real sshd on loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from morphnet.errors import ConfigError
from morphnet.lab.vpn import wait_for
from morphnet.roles.home.services.shells import shell_of, ssh_of
from morphnet.roles.home.services.terminal import Terminals
from morphnet.wire.messages.home.frames import Kind
from tests.ports import free_port
from tests.rendezvous.home.browser import Browser, Opened

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
US = pwd.getpwuid(os.getuid()).pw_name


class Reactor:
    """Keeps what it would start."""

    def __init__(self) -> None:
        self.started: list[tuple[Any, ...]] = []

    def spawnProcess(self, protocol: object, *words: Any, usePTY: bool) -> None:
        self.started.append((*words, usePTY))


class ShellTests(SynchronousTestCase):
    def test_whose(self) -> None:
        """Of nobody there is none, and only what a shell needs is handed to it."""
        reactor = Reactor()
        self.assertRaises(ConfigError, shell_of, None, "nobody-of-this-name", {})
        shell_of(reactor, "", {"PATH": "/bin", "SECRET": "x"})(ProcessProtocol())
        ((_, name, env, _, uid, gid, pty),) = reactor.started
        self.assertTrue(name[0].startswith("-"))
        self.assertEqual((env["PATH"], env["TERM"], uid, gid, pty), ("/bin", "xterm-256color", None, None, True))
        self.assertNotIn("SECRET", env)

    def test_ssh(self) -> None:
        """The target is no option of ssh's, and what keeps to it is said first: ssh takes what it hears first."""
        for target, end in (
            ("anna@nas.lan", ["-l", "anna", "--", "nas.lan"]),
            ("anna@nas.lan:2222", ["-p", "2222", "-l", "anna", "--", "nas.lan"]),
            ("anna@[fd00::1]:2222", ["-p", "2222", "-l", "anna", "--", "fd00::1"]),
            ("anna@[fd00::1]", ["-l", "anna", "--", "fd00::1"]),
        ):
            reactor = Reactor()
            ssh_of(reactor, "", {"SSH_AUTH_SOCK": "/x"}, target, "-i", "key")(ProcessProtocol())
            ((_, argv, env, *_),) = reactor.started
            self.assertEqual(argv[:3], ["ssh", "-o", "StrictHostKeyChecking=yes"])
            self.assertLess(argv.index("EscapeChar=none"), argv.index("-i"))
            self.assertEqual(argv[-len(end) :], end)
            self.assertNotIn("SSH_AUTH_SOCK", env)
        self.assertRaises(ConfigError, ssh_of, None, "nobody-of-this-name", {}, "anna@nas")


class SshTests(TestCase):
    skip = None if SSHD and shutil.which("ssh") else "no sshd here (Debian package openssh-server)"
    timeout = 60

    def setUp(self) -> None:
        self.place = Path(self.mktemp()).absolute()
        self.place.mkdir(parents=True)
        self.port = free_port()
        for name in ("host", "other", "user"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.place / name)]
            subprocess.run(words, check=True)
        self.known = self.place / "known"
        self.knows("host")
        (self.place / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.place}/host\n"
            f"AuthorizedKeysFile {self.place}/user.pub\nPidFile none\nStrictModes no\nUsePAM no\n"
            "PermitRootLogin yes\nPrintMotd no\nPrintLastLog no\n"
        )
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where it separates its privileges
        words = [str(SSHD), "-D", "-e", "-f", str(self.place / "config")]
        with (self.place / "log").open("wb") as log:
            self.sshd = subprocess.Popen(words, stderr=log)
        self.addCleanup(self.sshd.wait)
        self.addCleanup(self.sshd.kill)
        wait_for("sshd listens", self.listens)

    def listens(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0

    def knows(self, name: str) -> None:
        """What key the user knows this machine by."""
        self.known.write_text(f"[127.0.0.1]:{self.port} {(self.place / f'{name}.pub').read_text()}")

    def look(self) -> tuple[Browser, Opened]:
        options = ("-F", "none", "-i", str(self.place / "user"), "-o", f"UserKnownHostsFile={self.known}")
        target = f"{US}@127.0.0.1:{self.port}"
        terminals = Terminals(ssh_of(reactor, "", os.environ, target, *options))
        self.addCleanup(terminals.close)
        browser = Browser(Clock(), terminals.opened)
        return browser, browser.open(name="main", rows=33, columns=101)

    async def until(self, seen: Opened, word: bytes) -> None:
        while word not in seen.data:
            self.assertIsNone(seen.over, seen.data)
            await deferLater(reactor, 0.02)

    async def test_logs_in(self) -> None:
        """It is a shell there, of this size, which hears of another one, and whose end is told."""
        browser, seen = self.look()
        browser.write(b"echo $SSH_CONNECTION-$((6*7)); stty size\r")
        await self.until(seen, b"-42")
        await self.until(seen, b"33 101")
        browser.item(browser.last, Kind.SAID, b'{"rows":20,"columns":70}')
        browser.write(b"~C\r\r~?\r")  # words for ssh itself: here they are for the shell
        browser.write(b"stty size\r")
        await self.until(seen, b"20 70")
        self.assertNotIn(b"Supported escape", seen.data)
        browser.write(b"exit\r")
        while seen.over is None:
            await deferLater(reactor, 0.02)
        self.assertEqual((seen.said[-1], seen.over), ({"over": True}, ""))

    async def test_strangers(self) -> None:
        """Nobody is logged in to whose key is another one, or not known: nothing is asked, nothing is learned."""
        for knows in ("other", ""):
            self.knows(knows) if knows else self.known.write_text("")
            before = self.known.read_text()
            _, seen = self.look()
            while seen.over is None:
                await deferLater(reactor, 0.02)
            self.assertIn(b"Host key verification failed", seen.data)
            self.assertNotIn(b"continue connecting", seen.data)
            self.assertEqual(self.known.read_text(), before)
        self.assertNotIn("Accepted", (self.place / "log").read_text())
