"""What comes of the other end's wishes."""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.roles.process.agreed import (
    LEAST_HEARTBEAT,
    LEAST_REKEY_PACKETS,
    LEAST_REKEY_SECONDS,
    agreed,
    framing_of,
    heartbeat,
)
from tests.wire.messages.test_control import WELCOME

OURS = Tuning()


class AgreedTests(SynchronousTestCase):
    def test_smaller(self) -> None:
        """Of both wishes the smaller one; the rest of ours stays."""
        theirs = dataclasses.replace(WELCOME, mtu=1300, rekey_seconds=30.0, rekey_packets=1 << 23)
        wanted = dataclasses.replace(OURS, mtu=1300, rekey_seconds=30.0, framing="seed")
        self.assertEqual(agreed(OURS, theirs, "seed"), wanted)
        self.assertEqual((heartbeat(5.0, 2.0), heartbeat(2.0, 5.0)), (2.0, 2.0))

    def test_bounded(self) -> None:
        """A peer that wants a key with every packet, or a hundred heartbeats a second, does not get them."""
        theirs = dataclasses.replace(WELCOME, rekey_seconds=0.01, rekey_packets=1)
        got = agreed(OURS, theirs, "compact")
        self.assertEqual((got.rekey_seconds, got.rekey_packets), (LEAST_REKEY_SECONDS, LEAST_REKEY_PACKETS))
        self.assertEqual(heartbeat(5.0, 0.01), LEAST_HEARTBEAT)

    def test_own_wish(self) -> None:
        """What our own operator wants is not bounded by that."""
        ours = dataclasses.replace(OURS, rekey_seconds=0.1, rekey_packets=10)
        self.assertEqual(agreed(ours, WELCOME, ours.framing).rekey_packets, 10)
        self.assertEqual(heartbeat(0.1, 5.0), 0.1)

    def test_framing(self) -> None:
        """What the server chose; one that we do not know is taken for the oldest."""
        chosen = [framing_of(dataclasses.replace(WELCOME, framing=name)) for name in ("compact", "seed", "newer")]
        self.assertEqual(chosen, ["compact", "seed", "seed"])
