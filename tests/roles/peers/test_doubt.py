"""A session that the peer may have lost."""

from __future__ import annotations

from morphnet.roles.peers.doubt import ANSWER_WITHIN, ASK_AT, WORKS_WITHIN, Doubt
from tests.roles.peers.fakes import PlaneTestCase


class DoubtTests(PlaneTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.session = self.begin()
        self.path(self.session, self.wifi, "198.51.100.6")
        self.lost: list[str] = []
        self.doubt = Doubt(self.around, self.sessions, self.session, self.lost.append)

    def hear(self) -> None:
        """Something has come by the session."""
        self.session.heard_at = self.clock.seconds()

    def pass_by(self, seconds: float) -> None:
        """In small steps."""
        for _ in range(round(seconds / 0.1)):
            self.clock.advance(0.1)

    def test_nothing_comes(self) -> None:
        """A new session by which nothing comes in time is over; one by which something comes is not."""
        self.doubt.expect()
        self.pass_by(WORKS_WITHIN - 0.2)
        self.assertEqual(self.lost, [])
        self.pass_by(0.4)
        self.assertEqual(self.lost, ["nothing came by the session"])
        self.lost.clear()
        self.doubt.expect()
        self.pass_by(1.0)
        self.hear()
        self.pass_by(WORKS_WITHIN)
        self.assertEqual(self.lost, [])

    def test_asked(self) -> None:
        """It is asked by the session itself, several times; what comes meanwhile is an answer."""
        self.doubt.ask()
        self.pass_by(ASK_AT[-1] + 0.1)
        self.assertGreaterEqual(len(self.wifi.sent), len(ASK_AT))
        self.hear()
        self.pass_by(ANSWER_WITHIN)
        self.assertEqual(self.lost, [])

    def test_silent(self) -> None:
        """Without an answer the peer has lost it, and that is said once, however often somebody doubted."""
        for _ in range(20):
            self.doubt.ask()
        self.pass_by(ANSWER_WITHIN + 0.1)
        self.assertEqual(self.lost, ["the peer has lost the session"])

    def test_again(self) -> None:
        """When one doubt is settled there can be another."""
        self.doubt.ask()
        self.pass_by(0.5)
        self.hear()
        self.pass_by(ANSWER_WITHIN)
        self.doubt.ask()
        self.pass_by(ANSWER_WITHIN + 0.1)
        self.assertEqual(len(self.lost), 1)

    def test_end(self) -> None:
        """With the session every doubt about it ends."""
        self.doubt.expect()
        self.doubt.ask()
        self.doubt.end()
        self.pass_by(WORKS_WITHIN + 0.1)
        self.assertEqual(self.lost, [])
