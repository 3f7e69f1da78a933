"""A connection is given up when its network is another one."""

from __future__ import annotations

import socket
import threading

from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli import rerouted
from morphnet.cli.rerouted import Rerouted, reach, source_to
from tests.ports import free_port


class ReroutedTests(SynchronousTestCase):
    def setUp(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        self.line = socket.create_connection(listening.getsockname())
        self.addCleanup(self.line.close)
        self.far, _ = listening.accept()
        self.addCleanup(self.far.close)

    def test_another_address(self) -> None:
        """Who waits for an answer is woken."""
        self.line.settimeout(20.0)
        with Rerouted(self.line, 0.001, lambda peer, family: "192.0.2.1") as watched:
            self.assertEqual(self.line.recv(1), b"")
        self.assertTrue(watched.noticed)

    def test_the_same(self) -> None:
        """The same address, or none for a while, changes nothing."""
        looks, seen = threading.Event(), list[str]()

        def source(peer: object, family: int) -> str:
            seen.append(("127.0.0.1", "")[len(seen) % 2])
            if len(seen) > 5:
                looks.set()
            return seen[-1]

        with Rerouted(self.line, 0.001, source) as watched:
            self.assertTrue(looks.wait(20.0))
        self.assertFalse(watched.noticed)
        self.far.sendall(b"x")
        self.assertEqual(self.line.recv(1), b"x")

    def test_reach(self) -> None:
        """It is connected; a port where nobody listens, an address that never answers, and a network that goes fail."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        line = reach(listening.getsockname(), 20.0)
        self.addCleanup(line.close)
        self.assertEqual((line.getpeername(), line.gettimeout()), (listening.getsockname(), 20.0))
        self.assertRaises(ConnectionRefusedError, reach, ("127.0.0.1", free_port()), 20.0)
        full = socket.create_server(("127.0.0.1", 0), backlog=0)  # the second caller is not answered
        self.addCleanup(full.close)
        self.addCleanup(socket.create_connection(full.getsockname()).close)
        self.assertRaises(TimeoutError, reach, full.getsockname(), 0.01, every=0.001)
        self.patch(rerouted, "source_to", lambda peer, family: "192.0.2.1")
        self.assertRaises(ConnectionAbortedError, reach, full.getsockname(), 20.0, every=0.001)

    def test_source(self) -> None:
        """The kernel is asked, and sends nothing; without a way there is none."""
        self.assertEqual(source_to(("127.0.0.1", 9), socket.AF_INET), "127.0.0.1")
        self.assertEqual(source_to(("255.255.255.255", 9), socket.AF_INET), "")
