"""What a home and a coordinator have between them."""

from __future__ import annotations

from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Forged
from morphnet.rendezvous.home.association import MOST_OUT, TRIES, WINDOW, Association, Repeated
from morphnet.wire.messages.home import datagrams, parts
from morphnet.wire.messages.home.datagrams import Sealed


class End(Association):
    """One end, and the lists of what it sent and heard."""

    def __init__(self, clock: Clock, keys: tuple[bytes, bytes], wire: list[bytes], heard: list[bytes]) -> None:
        super().__init__(clock, b"index123", keys)
        self._wire, self._heard = wire, heard

    def carry(self, datagram: bytes) -> None:
        self._wire.append(datagram)

    def heard(self, body: bytes) -> None:
        self._heard.append(body)


class AssociationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.wire: list[bytes] = []
        self.back: list[bytes] = []
        self.heard: list[bytes] = []
        self.near = End(self.clock, (b"a" * 32, b"b" * 32), self.wire, self.heard)
        self.far = End(self.clock, (b"b" * 32, b"a" * 32), self.back, self.heard)

    def opened(self, datagram: bytes) -> Sealed:
        sealed = datagrams.decode(datagram)
        assert isinstance(sealed, Sealed)
        return sealed

    def test_once(self) -> None:
        """Each datagram is good once, in any order, and not when it is far behind."""
        for number in range(WINDOW + 2):
            self.near.send(parts.Ping(number))
        order = list(range(1, WINDOW + 1))
        Random(1).shuffle(order)
        for number in order:
            self.assertEqual(self.far.received(self.opened(self.wire[number])), parts.Ping(number))
        for number in (*order, 0):
            self.assertRaises(Repeated, self.far.received, self.opened(self.wire[number])) if number else None
        self.far.received(self.opened(self.wire[WINDOW + 1]))
        self.assertRaises(Repeated, self.far.received, self.opened(self.wire[0]))

    def test_own_words(self) -> None:
        """What we said ourselves is not taken from somebody else."""
        self.near.send(parts.Ping(1))
        self.assertRaises(Forged, self.near.received, self.opened(self.wire[0]))

    def test_given_up(self) -> None:
        """What never arrives is given up in the end, and so many may be on their way."""
        for _ in range(MOST_OUT + 1):
            self.near.send_message(b"said")
        self.assertEqual(self.near.lost, 1)
        self.clock.pump([0.1] * 600)
        self.assertEqual((self.near.lost, len(self.wire)), (MOST_OUT + 1, MOST_OUT * TRIES))
        self.assertEqual(self.clock.getDelayedCalls(), [])
