"""Terminals that live at home; real ones are in the lab."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import struct
import termios
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.home.streams import WINDOW
from morphnet.roles.home.services.scrollback import KEPT
from morphnet.roles.home.services.terminal import AHEAD, ASLEEP_AFTER, MOST, PACE_EVERY, Terminals
from morphnet.roles.home.visits import GRACE
from morphnet.wire.messages.home.frames import Kind
from tests.rendezvous.home.browser import Browser, Opened


class Shell:
    """In the place of a process on a terminal: the terminal is real, so that it has a size."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        self.typed = b""
        self.paused = False
        self.signals: list[str] = []

    def fileno(self) -> int:
        return self.master

    def write(self, data: bytes) -> None:
        self.typed += data

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)

    def size(self) -> tuple[int, int]:
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(self.slave, termios.TIOCGWINSZ, bytes(8)))
        return rows, columns


class TerminalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.shells: list[Shell] = []
        self.protocols: list[Any] = []
        self.terminals = Terminals(self.spawn)
        self.browser = Browser(self.clock, self.terminals.opened)

    def spawn(self, protocol: Any) -> None:
        shell = Shell()
        self.addCleanup(os.close, shell.master)
        self.addCleanup(os.close, shell.slave)
        protocol.makeConnection(shell)
        self.shells.append(shell)
        self.protocols.append(protocol)

    def look(self, browser: Browser | None = None, rows: int = 24, columns: int = 80, name: str = "main") -> Opened:
        return (browser or self.browser).open(name=name, rows=rows, columns=columns)

    def test_both_ways(self) -> None:
        """Keys go in, what is said comes out."""
        seen = self.look()
        self.browser.write(b"ls\r")
        self.protocols[0].outReceived(b"file\r\n")
        self.assertEqual((self.shells[0].typed, seen.data), (b"ls\r", b"file\r\n"))
        self.assertEqual(self.shells[0].size(), (24, 80))

    def test_not_started(self) -> None:
        """Where there is no terminal left the browser is told, and the next one may be opened."""
        kept, self.terminals._spawn = self.terminals._spawn, self.refuse
        self.assertEqual(self.look().over, "the home cannot start another terminal now")
        self.terminals._spawn = kept
        self.assertIsNone(self.look().over)
        self.assertEqual(list(self.terminals.running), ["main"])

    def refuse(self, protocol: Any) -> None:
        raise OSError(errno.ENOSPC, "out of pty devices")

    def test_lives_on(self) -> None:
        """With nobody there it goes on; who comes back, in another session, sees the past and then the present."""
        self.look()
        self.protocols[0].outReceived(b"before ")
        self.browser.session.end()
        self.protocols[0].outReceived(b"meanwhile ")
        again = Browser(self.clock, self.terminals.opened)
        seen = self.look(again)
        self.protocols[0].outReceived(b"now")
        self.assertEqual(seen.data, b"before meanwhile now")
        self.assertEqual(seen.said, [{"at": 0, "live": 17, "name": "main"}])
        self.assertEqual((len(self.shells), self.shells[0].signals), (1, []))

    def test_half_a_day(self) -> None:
        """
        A browser that is gone without a word holds up its program for a minute, and not for the half day that its
        session is kept. Who comes then sees 5000 lines of the past, whole, each once, and the present.
        """
        seen = self.look()
        self.browser.leave()
        shell, protocol, said = self.shells[0], self.protocols[0], 0
        waited, end = 0.0, self.clock.seconds() + GRACE
        while self.clock.seconds() < end:
            for _ in range(40):
                if not shell.paused:
                    protocol.outReceived(b"row %06d %s\r\n" % (said, b"x" * 700))
                    said += 1
            waited += PACE_EVERY if shell.paused else 0
            self.clock.advance(PACE_EVERY)
            self.terminals.pace()
        self.assertLessEqual(waited, ASLEEP_AFTER + PACE_EVERY)
        self.assertGreater(said, 160_000)
        self.assertEqual(seen.over, None)
        self.browser.session.end()  # as the home does it, then
        self.assertEqual((list(self.terminals.running), shell.signals), (["main"], []))
        again = self.look(Browser(self.clock, self.terminals.opened))
        rows = [int(row.split()[1]) for row in again.data.decode().splitlines()]
        self.assertGreaterEqual(len(rows), 5000)
        self.assertEqual(rows, list(range(said - len(rows), said)))
        protocol.outReceived(b"now")
        self.assertTrue(again.data.endswith(b"now"))

    def test_sleeper_comes_back(self) -> None:
        """Who was not waited for goes on in its own session, where the past begins, and is waited for again."""
        seen = self.look()
        self.browser.leave()
        self.clock.advance(ASLEEP_AFTER + 1)
        for number in range(8000):
            self.protocols[0].outReceived(b"row %06d %s\r\n" % (number, b"x" * 1000))
        self.assertFalse(self.shells[0].paused)
        self.browser.come_back()
        self.assertEqual(len(seen.said), 2)
        past = seen.data[-(seen.said[1]["live"] - seen.said[1]["at"]) :]
        self.assertEqual(int(past.split(b"\r\n")[-2].split()[1]), 7999)
        self.browser.reads = False
        for _ in range(3000):
            self.protocols[0].outReceived(b"y" * 1000)
        self.assertTrue(self.shells[0].paused)

    def test_several(self) -> None:
        """Two see the same, and the terminal is as large as the smaller window."""
        other = Browser(self.clock, self.terminals.opened)
        first, second = self.look(), self.look(other, 50, 60)
        self.protocols[0].outReceived(b"x")
        self.assertEqual((first.data, second.data, self.shells[0].size()), (b"x", b"x", (24, 60)))
        other.item(other.last, Kind.END)
        self.assertEqual(self.shells[0].size(), (24, 80))
        self.browser.item(self.browser.last, Kind.SAID, b'{"rows":30,"columns":100}')
        self.assertEqual(self.shells[0].size(), (30, 100))

    def test_slow_reader(self) -> None:
        """A program that says more than anybody reads has to wait; who reads again has every byte."""
        self.browser.reads = False
        seen = self.look()
        said = b""
        while not self.shells[0].paused:
            said += (piece := os.urandom(60_000))
            self.protocols[0].outReceived(piece)
        self.assertEqual(len(seen.data), WINDOW)
        self.assertLess(len(said), WINDOW + AHEAD + 60_001)
        self.browser.reads = True
        self.browser.item(self.browser.last, Kind.CREDIT, (WINDOW).to_bytes(4, "big"))
        self.assertEqual((self.shells[0].paused, seen.data == said), (False, True))

    def test_away_for_too_long(self) -> None:
        """Who slept while one that is awake reads on begins again where the past begins."""
        self.browser.reads = False
        asleep = self.look()
        other = Browser(self.clock, self.terminals.opened)
        awake = self.look(other)
        for _ in range(200):
            self.protocols[0].outReceived(b"y" * 59_999 + b"\n")
            other.read()
        self.assertEqual(len(awake.data), 200 * 60_000)
        self.browser.reads = True
        self.browser.item(self.browser.last, Kind.CREDIT, (WINDOW).to_bytes(4, "big"))
        self.assertEqual(len(asleep.said), 2)
        self.assertGreaterEqual(200 * 60_000 - asleep.said[1]["at"], KEPT - 60_000)

    def test_ends(self) -> None:
        """When the shell ends, everybody is told, and the next look opens another one."""
        seen = self.look()
        self.protocols[0].outReceived(b"bye")
        self.protocols[0].processEnded(None)
        self.assertEqual((seen.data, seen.said[-1], seen.over), (b"bye", {"over": True}, ""))
        self.look()
        self.assertEqual(len(self.shells), 2)
        self.browser.item(self.browser.last, Kind.SAID, b'{"end":true}')
        self.assertEqual(self.shells[1].signals, ["HUP"])

    def test_limits(self) -> None:
        """So many terminals, of sizes and names that make sense."""
        for wrong in (
            {"rows": 0},
            {"columns": 5000},
            {"name": ""},
            {"name": "\x1b[2J"},
            {"name": "x" * 65},
            {"rows": "a"},
        ):
            asked: dict[str, Any] = {"name": "main", "rows": 24, "columns": 80, **wrong}
            self.assertTrue(self.browser.open(**asked).over)
        for number in range(MOST + 1):
            last = self.look(name=str(number))
        self.assertEqual((len(self.shells), last.over), (MOST, "there are as many terminals as there may be"))
