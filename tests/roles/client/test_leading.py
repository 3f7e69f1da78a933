"""Which peers are there to lead somewhere."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.client.carrying import PATIENCE
from morphnet.roles.client.leading import Leading

HOME = {"home": ("10.73.0.3",)}


class LeadingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.works, self.at_a_relay = Clock(), True, True
        self.leading = Leading(self.clock.seconds)
        self.leading.are(HOME)

    def leads(self) -> bool:
        return self.leading.look(lambda name: self.works, lambda name: self.at_a_relay) == HOME

    def test_waited_for(self) -> None:
        """One whose paths have fallen silent is waited for, and leads again when one works."""
        self.assertTrue(self.leads())
        self.works = False
        self.clock.advance(PATIENCE - 1)
        self.assertTrue(self.leads())
        self.clock.advance(1)
        self.assertFalse(self.leads())
        self.works = True
        self.assertTrue(self.leads())

    def test_gone(self) -> None:
        """One that no relay has either is not waited for; one that is reached directly needs no relay."""
        self.at_a_relay = False
        self.clock.advance(60)
        self.assertTrue(self.leads())
        self.works = False
        self.clock.advance(1)
        self.assertFalse(self.leads())

    def test_session_ends(self) -> None:
        """Without a session nobody leads; a new one begins with hope."""
        self.leading.are({})
        self.assertEqual(self.leading.look(lambda name: True, lambda name: True), {})
        self.works = False
        self.clock.advance(60)
        self.leading.are(HOME)
        self.assertTrue(self.leads())
