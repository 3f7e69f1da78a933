"""One datagram, on loopback."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.lone import send_lone


class LoneTests(SynchronousTestCase):
    def test_sent(self) -> None:
        """It comes from the address that was named, each time from another port."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
            door.bind(("127.0.0.1", 0))
            door.settimeout(5)
            port = door.getsockname()[1]
            self.assertTrue(send_lone("127.0.0.2", "127.0.0.1", port, b"one"))
            self.assertTrue(send_lone("127.0.0.3", "127.0.0.1", port, b"two"))
            came = [door.recvfrom(64) for _ in range(2)]
        self.assertEqual([(data, sender[0]) for data, sender in came], [(b"one", "127.0.0.2"), (b"two", "127.0.0.3")])

    def test_not_sent(self) -> None:
        """From an address that is not ours, to one that is none, to another family: False, and no exception."""
        for local, to in (("192.0.2.1", "127.0.0.1"), ("127.0.0.1", "x"), ("127.0.0.1", "::1")):
            self.assertFalse(send_lone(local, to, 4000, b"one"), (local, to))
