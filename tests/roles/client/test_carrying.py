"""When traffic goes into the tunnel."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.client.carrying import PATIENCE, Carrying


class CarryingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.one = Carrying(self.clock.seconds, strict=False)

    def test_no_black_hole(self) -> None:
        """Nothing goes in before a path works; everything from that moment on."""
        self.assertFalse(self.one.look(works=False, uplinks=True))
        self.assertEqual((self.one.carries, self.one.traffic), (False, "outside"))
        self.assertTrue(self.one.look(works=True, uplinks=True))
        self.assertEqual((self.one.carries, self.one.traffic), (True, "tunnel"))
        self.assertFalse(self.one.look(works=True, uplinks=True))

    def test_from_the_start(self) -> None:
        """None that ever works is told as well, once, when there was time for one; and then that one does."""
        for wait, changed in ((PATIENCE - 1, False), (0.5, False), (0.5, True), (60.0, False)):
            self.clock.advance(wait)
            self.assertIs(self.one.look(works=False, uplinks=True), changed)
        self.assertEqual(self.one.traffic, "outside")
        self.assertTrue(self.one.look(works=True, uplinks=True))

    def test_short_break(self) -> None:
        """A break that is shorter than PATIENCE changes nothing, and the next one counts from its own beginning."""
        for works, wait in ((True, 1.0), (False, PATIENCE - 2), (True, 1.0), (False, PATIENCE - 2)):
            self.one.look(works=works, uplinks=True)
            self.clock.advance(wait)
        self.assertFalse(self.one.look(works=False, uplinks=True))
        self.assertTrue(self.one.carries)
        self.clock.advance(1.5)
        self.assertTrue(self.one.look(works=False, uplinks=True))
        self.assertFalse(self.one.carries)

    def test_no_uplink(self) -> None:
        """Without an uplink there is no other way to take: it is waited for one, and then for a path."""
        self.one.look(works=True, uplinks=True)
        for _ in range(5):
            self.clock.advance(PATIENCE)
            self.assertFalse(self.one.look(works=False, uplinks=False))
        self.clock.advance(PATIENCE / 2)
        self.assertFalse(self.one.look(works=False, uplinks=True))
        self.clock.advance(PATIENCE / 2)
        self.assertTrue(self.one.look(works=False, uplinks=True))

    def test_strict(self) -> None:
        """A strict one sends everything into the tunnel from the first moment on, path or not."""
        one = Carrying(self.clock.seconds, strict=True)
        self.assertEqual((one.carries, one.traffic), (True, "held"))
        one.look(works=True, uplinks=True)
        self.assertEqual(one.traffic, "tunnel")
        self.clock.advance(PATIENCE)
        self.assertTrue(one.look(works=False, uplinks=True))
        self.assertEqual((one.carries, one.traffic), (True, "held"))
