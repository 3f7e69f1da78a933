"""A local network like the inner one is said."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.outside import Network
from morphnet.roles.client.overlaps import Overlaps

LAN = Network("10.73.0.0/16", "wan0", True)


class OverlapTests(SynchronousTestCase):
    def test_said_once(self) -> None:
        """It is said once while it is so, again when it is so again, and `status` has it meanwhile."""
        told: list[str] = []
        overlaps = Overlaps(told.append)
        overlaps.look([LAN])
        self.assertEqual((told, overlaps.sentences), ([], ()))
        overlaps.inner = ("10.73.0.2/24",)
        for _ in range(3):
            overlaps.look([LAN])
        self.assertEqual(len(told), 1)
        self.assertIn("the local network 10.73.0.0/16 of wan0", told[0])
        self.assertEqual(overlaps.sentences, (told[0],))
        overlaps.look([])
        self.assertEqual(overlaps.sentences, ())
        overlaps.look([LAN])
        self.assertEqual(len(told), 2)
