"""What a server says of networks behind clients, and when it counts."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.client.lastword import LEAST
from morphnet.roles.client.told_networks import SAID_WITHIN, ToldNetworks
from morphnet.wire.messages.networks import Networks

ONE, OTHER = Networks(reach=("192.168.7.0/24",)), Networks(reach=("10.5.0.0/16",))


class ToldNetworksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.heeded = Clock(), list[Networks]()
        self.told = ToldNetworks(self.clock.seconds, self.clock.callLater, self.heeded.append)

    def test_back_and_forth(self) -> None:
        """A server that says something else all the time is heeded once a second, and its last word counts."""
        self.told.are(ONE)
        self.assertEqual(self.heeded, [ONE])
        for _ in range(50):
            self.told.are(OTHER)
            self.told.are(ONE)
        self.told.are(OTHER)
        self.clock.advance(LEAST)
        self.assertEqual(self.heeded, [ONE, OTHER])
        for _ in range(5):
            self.told.are(OTHER)
            self.clock.advance(LEAST)
        self.assertEqual((self.heeded, self.clock.getDelayedCalls()), ([ONE, OTHER], []))

    def test_older_server(self) -> None:
        """What was said on an earlier link counts until the server has had time to say it again."""
        self.told.are(ONE)
        self.assertTrue(self.told.told)
        for says in (True, False):
            self.told.welcomed()
            self.assertFalse(self.told.told)
            if says:
                self.told.are(ONE)
            self.clock.advance(SAID_WITHIN / 2)
            self.assertEqual(self.heeded, [ONE])
        self.clock.advance(SAID_WITHIN)
        self.assertEqual(self.heeded, [ONE, Networks()])

    def test_another_server(self) -> None:
        """What one server has said is forgotten at once, also what it said last."""
        self.told.are(ONE)
        self.clock.advance(LEAST)
        self.told.forget()
        self.assertEqual(self.heeded, [ONE, Networks()])
        self.told.are(OTHER)
        self.told.forget()
        self.clock.advance(LEAST)
        self.assertEqual(self.heeded, [ONE, Networks()])
