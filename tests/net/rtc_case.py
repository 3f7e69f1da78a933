"""What every make of WebRTC has to do, on real sockets of this machine, with a browser in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ifaddr import get_adapters
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from morphnet.errors import MalformedFrame
from morphnet.lab.chromium import CHROMIUM
from morphnet.lab.vpn import wait_for
from morphnet.net.rtc import Channel, RtcDoor
from morphnet.net.rtc_make import HIGH, chosen
from tests.net.rtc_here import HomeHere

SIZE = 16_000_000  # bytes of a file
ADDRESSES = {ip.ip for each in get_adapters() for ip in each.ips if ip.is_IPv4} - {"127.0.0.1"}


class Process(ProcessProtocol):
    """A browser that is asked one thing at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._waiting: Deferred[dict[str, Any]] | None = None
        self.ended: Deferred[None] = Deferred()
        argv = [sys.executable, "-m", "tests.net.rtc_browser"]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process: Any = reactor.spawnProcess(self, sys.executable, argv, env, childFDs={0: "w", 1: "r", 2: 2})

    def outReceived(self, data: bytes) -> None:
        self._buffer += data
        if self._buffer.endswith(b"\n"):
            told, self._buffer = json.loads(self._buffer), b""
            assert self._waiting is not None
            self._waiting.callback(told)

    def ask(self, do: str, **fields: object) -> Deferred[dict[str, Any]]:
        """One command; what came of it."""
        self._waiting = Deferred()
        self.process.write(json.dumps({"do": do, **fields}).encode() + b"\n")
        return self._waiting

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(None)

    def kill(self) -> Deferred[None]:
        """End it without a word."""
        if not self.ended.called:
            self.process.signalProcess("KILL")
        return self.ended


class Home:
    """Whoever has the home's end of it."""

    def __init__(self) -> None:
        self.channel: Channel | None = None
        self.count, self.size, self.known = 0, 0, hashlib.sha256()
        self.closings = 0

    def opened(self, channel: Channel) -> None:
        self.channel = channel

    def message(self, channel: Channel, data: bytes) -> None:
        self.count += 1
        self.size += len(data)
        self.known.update(data)

    def closed(self, channel: Channel) -> None:
        self.closings += 1


async def until(what: Any, within: float = 30.0) -> None:
    """:raises AssertionError: it is not true in time."""
    for _ in range(int(within / 0.02)):
        if what():
            return
        await deferLater(reactor, 0.02)
    raise AssertionError("not in time")


def digest(count: int, size: int) -> str:
    """Of so many messages, each of one byte that counts them."""
    return hashlib.sha256(b"".join(bytes([number & 255]) * size for number in range(count))).hexdigest()


def resident(pid: int) -> int:
    """Bytes that a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class MakeCase(TestCase):
    """A door of the make of that name, and browsers."""

    timeout = 90
    make = ""

    def setUp(self) -> None:
        if not ADDRESSES:
            self.skipTest("this machine has no address but its loopback's")
        if chosen(self.make) is None:
            self.skipTest(f"{self.make} is not installed")
        self.door = RtcDoor(self.make, (), reactor)
        self.addCleanup(self.door.close)

    def browser(self) -> Process:
        process = Process()
        self.addCleanup(process.kill)
        return process

    async def connect(self, label: str = "morphnet") -> tuple[Process, Home, str]:
        """A browser and its home, and the answer."""
        browser, home = self.browser(), Home()
        offer = (await browser.ask("offer", label=label))["offer"]
        answer = await self.door.answer(offer, home)
        told = await browser.ask("answer", sdp=answer, within=20.0)
        self.assertTrue(told["open"])
        await until(lambda: home.channel is not None or home.closings)
        return browser, home, answer

    async def test_both_ways(self) -> None:
        """Small and large messages both ways, each once, in order; the browser ends it, which is told once."""
        browser, home, _ = await self.connect()
        assert home.channel is not None
        await browser.ask("send", count=300, size=1)
        await browser.ask("send", count=100, size=61454)
        await until(lambda: home.count == 400)
        expected = hashlib.sha256(bytes(number & 255 for number in range(300)))
        expected.update(b"".join(bytes([number]) * 61454 for number in range(100)))
        self.assertEqual(home.known.hexdigest(), expected.hexdigest())
        for number in range(100):
            home.channel.send(bytes([number]) * 61454)
        told = await browser.ask("heard", count=100)
        self.assertEqual(told, {"count": 100, "sha256": digest(100, 61454)})
        await browser.ask("close")
        await until(lambda: home.closings)
        home.channel.send(b"too late")
        home.channel.close()
        self.assertEqual((home.closings, len(self.door), self.door.crashed), (1, 0, 0))

    async def test_home_ends(self) -> None:
        """The home ends it: the browser hears of it, and its process is gone."""
        browser, home, _ = await self.connect()
        assert home.channel is not None
        pid = home.channel.pid
        home.channel.close()
        await browser.ask("closed")
        await until(lambda: not Path(f"/proc/{pid}").exists())
        self.assertEqual((home.closings, len(self.door)), (1, 0))

    async def test_no_offer(self) -> None:
        """What is no offer of a data channel has no answer, and leaves nothing behind."""
        sound = (await self.browser().ask("offer", label=""))["offer"]
        for offer in ("", "v=0", "\0" * 5000, sound):
            with self.assertRaises(MalformedFrame):
                await self.door.answer(offer, Home())
        self.assertEqual(len(self.door), 0)

    async def test_killed(self) -> None:
        """
        The process of a connection is killed, then the one that they fork from: other connections go on, the next
        offers are answered, and no two have a key in common.
        """
        (_, first, one), (other, second, two) = await self.connect(), await self.connect()
        assert first.channel is not None and second.channel is not None
        os.kill(first.channel.pid, signal.SIGKILL)
        await until(lambda: first.closings)
        os.kill(self.door.pids[0], signal.SIGKILL)
        await until(lambda: not Path(f"/proc/{self.door.pids[0]}").exists())
        second.channel.send(b"still here")
        told = await other.ask("heard", count=1)
        self.assertEqual(told["sha256"], hashlib.sha256(b"still here").hexdigest())
        _, third, three = await self.connect()
        self.assertEqual((first.closings, second.closings, third.closings, len(self.door)), (1, 0, 0, 2))
        self.assertEqual(self.door.crashed, 1)
        lines = [line for each in (one, two, three) for line in each.split("\r\n")]
        secrets = [line for line in lines if line.startswith(("a=ice-pwd:", "a=fingerprint:sha-256"))]
        self.assertEqual(len(set(secrets)), len(secrets))

    async def test_pressure(self) -> None:
        """To a browser that reads nothing a connection takes no more than a little ahead; all of it arrives."""
        browser, home, _ = await self.connect()
        assert home.channel is not None
        before = resident(home.channel.pid)
        os.kill(browser.process.pid, signal.SIGSTOP)
        count, size = 1024, 1 << 15
        for number in range(count):
            home.channel.send(bytes([number & 255]) * size)
        await deferLater(reactor, 1.0)
        self.assertLess(resident(home.channel.pid) - before, 12 * HIGH)
        os.kill(browser.process.pid, signal.SIGCONT)
        told = await browser.ask("heard", count=count)
        self.assertEqual(told, {"count": count, "sha256": digest(count, size)})

    async def test_other_channel(self) -> None:
        """A channel of another name is closed at once, and its connection is not one of a browser."""
        browser, home = self.browser(), Home()
        offer = (await browser.ask("offer", label="other"))["offer"]
        await browser.ask("answer", sdp=await self.door.answer(offer, home), within=20.0)
        await browser.ask("closed")
        self.assertIsNone(home.channel)


class BrowserCase(SynchronousTestCase):
    """A home with a door of the make of that name, and a real browser."""

    timeout = 120
    make = ""

    def setUp(self) -> None:
        if not CHROMIUM:
            self.skipTest("no chromium here (Debian package chromium)")
        if not ADDRESSES or chosen(self.make) is None:
            self.skipTest(f"{self.make} is not installed, or this machine has no address but its loopback's")
        self.here = HomeHere(self.make)
        self.addCleanup(self.here.stop)

    def killed_in(self, script: str) -> Any:
        """What comes of a transfer whose connection's process is killed on the way, and the one that they fork from."""
        self.here.run(f"window.at = 0; window.result = null; {script}.then((sum) => {{ result = sum; }}); 0")
        self.here.until("at > 2000000")
        home, spring, holding = self.here.pids
        os.kill(holding, signal.SIGKILL)
        os.kill(spring, signal.SIGKILL)
        self.assertIsNone(self.here.run("result"))
        self.here.run("connect()")
        found = self.here.until("result", 60.0)
        self.assertEqual(self.here.pids[0], home)
        return found

    def test_killed(self) -> None:
        """Native code that dies on the way of a file costs a connection: the page makes another, the file goes on."""
        content = os.urandom(SIZE)
        (self.here.share / "down").write_bytes(content)
        self.assertEqual(self.killed_in("down('down')"), hashlib.sha256(content).hexdigest())
        summed = self.killed_in(f"up('up', {SIZE})")
        self.assertEqual(hashlib.sha256((self.here.share / "up").read_bytes()).hexdigest(), summed)
        home, *others = self.here.pids
        os.kill(home, signal.SIGKILL)
        wait_for("nothing is left of it", lambda: not any(Path(f"/proc/{pid}").exists() for pid in others))
