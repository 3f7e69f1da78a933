"""ClamAV's daemon, the real one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from morphnet.net.clamd import Clamd, ScannerAway, verdict
from tests.clamav import BAD, NAME, WITHOUT, ClamDaemon
from tests.ports import free_port

reactor: Any = _reactor


class VerdictTests(SynchronousTestCase):
    def test_answers(self) -> None:
        """Found, not found, and what is neither."""
        self.assertEqual(verdict(b"stream: OK\0"), "")
        self.assertEqual(verdict(b"fd[10]: Eicar-Test-Signature FOUND\0"), "Eicar-Test-Signature")
        for said in (b"", b"INSTREAM size limit exceeded. ERROR\0", b"stream: ", b"\xff" * 9000):
            self.assertRaises(ScannerAway, verdict, said)


class ClamdTests(TestCase):
    skip = WITHOUT
    timeout = 90

    def opened(self, data: bytes) -> int:
        """A file with that in it."""
        path = Path(self.mktemp())
        path.write_bytes(data)
        file = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, file)
        return file

    def test_scan(self) -> Deferred[None]:
        """By its socket and by TCP: what it knows is found also in the midst, and what it does not know is not."""
        port = free_port()
        daemon = ClamDaemon(port)
        self.addCleanup(daemon.end)
        daemon.start()

        async def story() -> None:
            for place in (str(daemon.socket), f"127.0.0.1:{port}"):
                clamd = Clamd(reactor, place, 30.0)
                self.assertEqual(await clamd.scan(self.opened(b"x" * 200_000 + BAD + b"y")), NAME)
                self.assertEqual(await clamd.scan(self.opened(b"x" * 200_000)), "")
            daemon.stop()
            with self.assertRaises(ScannerAway):
                await clamd.scan(self.opened(b"x"))

        return Deferred.fromCoroutine(story())
