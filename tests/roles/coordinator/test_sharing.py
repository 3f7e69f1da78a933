"""Two real coordinators behind one name, a real Redis, and a home."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from morphnet.lab.browsing import HomeDaemon
from morphnet.rendezvous.home.registering import HomeKeys, Registering
from morphnet.roles.coordinator.invitations import KEY
from morphnet.roles.home.line import Line
from morphnet.store.homes import DATABASE, HomesLedger
from morphnet.wire.messages.home.calls import Call, from_text, to_text
from morphnet.wire.messages.home.invitation import Invitation
from tests.ports import free_port
from tests.redis_server import WITHOUT, RedisServer

HOSTS = "127.0.0.1", "127.0.0.2"


class Here:
    """This machine, where a box has a node."""

    def __init__(self, directory: str) -> None:
        self.dir = directory

    def popen(self, words: Sequence[str], **how: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(words, **how)

    def run(self, words: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, timeout=timeout, capture_output=True, text=True, check=False)


class SharingTests(TestCase):
    skip = WITHOUT
    timeout = 120

    def setUp(self) -> None:
        self.redis = RedisServer(keeps=False)
        self.addCleanup(self.redis.end)
        self.redis.start()
        self.tcp, self.udp = free_port(), free_port()
        self.root = Path(tempfile.mkdtemp(prefix="sharing-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.daemons = [self._coordinator(number) for number in range(2)]
        for each in self.daemons:
            each.start()
        self.calls: list[Call] = []

    def _coordinator(self, number: int) -> HomeDaemon:
        settings: dict[str, Any] = {"listen": [HOSTS[number]], "home-port": self.udp, "redis-url": self.redis.url}
        node: Any = Here(str(self.root))
        daemon = HomeDaemon(node, "morph-coordinator", f"c{number}", settings)
        daemon.make("init", "--plain", "--port", str(self.tcp))
        with (daemon.etc / "coordinator.toml").open("r+") as file:  # `invite` reads it
            text = file.read()
            file.seek(0)
            file.write(f'redis_url = "{self.redis.url}"\nhome_port = {self.udp}\n' + text)
        if number:
            first = self.root / "c0" / "etc"
            (source,) = first.rglob(KEY)
            shutil.copy(source, daemon.etc / source.relative_to(first))
        self.addCleanup(self._end, daemon)
        return daemon

    def _end(self, daemon: HomeDaemon) -> None:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.process.send_signal(signal.SIGCONT)
            daemon.process.kill()
            daemon.process.wait()

    # -- a home, and a browser -----------------------------------------------------------------------------------------

    def look_up(
        self, name: str, kinds: object, found: Callable[[list[str], str], None], done: Callable[[], None]
    ) -> None:
        """Names, for the home: both coordinators have the same one."""
        found(list(HOSTS), "")
        done()

    async def start_home(self, inviting: int) -> None:
        """Invited by that one; registered with the first."""
        await self.until("both have Redis", lambda: [self.state(each) for each in (0, 1)] == ["serving"] * 2)
        invitation = Invitation.read(self.daemons[inviting].make("invite", "--address", "c.example"))
        (path,) = self.daemons[inviting].etc.rglob(DATABASE)
        ledger = HomesLedger(path)
        self.addCleanup(ledger.close)
        while ledger.invitations():
            await deferLater(reactor, 0.05)
        keys = HomeKeys(Ed25519PrivateKey.generate(), from_text(invitation.key), invitation.token)
        self.key = to_text(keys.identity.public_key().public_bytes_raw())
        where: Any = reactor
        wall = partial(lambda now: int(now() * 1000), where.seconds)
        self.home = Registering(where, os.urandom, wall, keys, self._called)
        self.line = Line(where, "c.example", self.udp, self.home, self)
        self.home.changed = lambda state: self.line.look_up() if state != "registered" else None
        self.addCleanup(self.line.close)
        self.addCleanup(self.home.stop)
        self.home.start()
        await self.until("the home is registered", lambda: self.home.state == "registered")
        self.assertEqual((self.homes(0), self.homes(1)), (1, 0))

    def _called(self, call: Call) -> None:
        self.calls.append(call)
        self.home.reply(call.call, call.body + "-answered")

    def ask(self, number: int, body: str) -> Deferred[tuple[int, str]]:
        """A browser's call at that coordinator: status, and what it is answered."""
        return deferToThread(self._post, number, body)

    def _post(self, number: int, body: str) -> tuple[int, str]:
        data = json.dumps({"home": self.key, "body": body}).encode()
        where = f"http://{HOSTS[number]}:{self.tcp}/api/call"
        request = urllib.request.Request(where, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                return answer.status, json.load(answer)["body"]
        except urllib.error.HTTPError as trouble:
            return trouble.code, json.load(trouble)["error"]

    async def until(self, what: str, holds: Callable[[], bool], every: float = 0.05) -> None:
        """Wait for it."""
        for _ in range(int(30 / every)):
            if await deferToThread(holds):
                return
            await deferLater(reactor, every)
        raise AssertionError(f"not within 30 s: {what}")

    async def until_answered(self, number: int, body: str) -> None:
        """A browser that calls there is answered, sooner or later; there are only so many calls of one address."""
        await self.until(f"{number} finds the home", lambda: self._post(number, body) == (200, f"{body}-answered"), 1.0)

    def state(self, number: int) -> str:
        return str(self.daemons[number].status()["state"])

    def homes(self, number: int) -> int:
        return self.daemons[number].count("homes")

    async def test_any_may_die(self) -> None:
        """
        Invited at one, registered with the other, called at both. Redis goes, and what runs goes on; it comes back
        empty, and all is known again. The home's coordinator is killed, and a login that comes at that moment works.
        What one of them forgets at last all do.
        """
        await self.start_home(1)
        self.assertEqual(await self.ask(0, "a0"), (200, "a0-answered"))
        await self.until_answered(1, "a1")
        self.assertEqual(self.daemons[1].count("calls_passed_on"), 1)

        self.redis.stop()
        await self.until("both are alone", lambda: {self.state(each) for each in (0, 1)} == {"serving, alone"})
        self.assertEqual(await self.ask(0, "b"), (200, "b-answered"))
        self.assertEqual((await self.ask(1, "c"))[0], 404)
        self.redis.start()
        await self.until("both have Redis again", lambda: [self.state(each) for each in (0, 1)] == ["serving"] * 2)
        await self.until_answered(1, "d")

        self.daemons[0].kill()
        during = self.ask(1, "e")
        self.home.look()  # as it would by itself within 10 s
        self.assertEqual(await during, (200, "e-answered"))
        self.assertEqual(self.homes(1), 1)
        self.daemons[0].start()
        await self.until("it has Redis", lambda: self.state(0) == "serving")
        self.assertEqual(await self.ask(0, "f"), (200, "f-answered"))
        self.daemons[0].make("forget", self.key)
        await self.until("it is let go of", lambda: self.homes(1) == 0)
        self.assertEqual(sorted({call.body for call in self.calls}), ["a0", "a1", "b", "d", "e", "f"])

    async def test_taken_over(self) -> None:
        """A coordinator that stands still for a while, and whose home has gone meanwhile, learns where it is."""
        await self.start_home(0)
        assert self.daemons[0].process is not None
        self.daemons[0].process.send_signal(signal.SIGSTOP)
        self.home.look()
        await self.until("it is with the other", lambda: self.homes(1) == 1)
        self.daemons[0].process.send_signal(signal.SIGCONT)
        await self.until("the first one knows", lambda: self.homes(0) == 0)
        self.assertEqual(await self.ask(0, "x"), (200, "x-answered"))
