"""What sessions have counted, those included that have ended."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.tunnel.events import Effects
from morphnet.tunnel.session import Session
from morphnet.tunnel.totals import total_of
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Endpoint


class TotalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.tunnel = Tunnel(server=False, entropy=bytes)

    def begin(self) -> Session:
        """A session, one of whose two paths is closed."""
        session = self.tunnel.add_session("gateway", b"n" * 16, Tuning())
        for name in ("wan", "lte"):
            path = session.open_path(0, Endpoint("203.0.113.1", 8000), name, 0.0, Effects())
            path.sent(2, 50, 100, 0.0, asks=False)
        session.close_path(0, 0.0, Effects())
        session.counts["late"] += 3
        session.inbound.reorder.late = 4
        return session

    def test_session(self) -> None:
        """Over all its paths, those that are closed too."""
        found = total_of(self.begin())
        self.assertEqual((found["sent_packets"], found["sent_bytes"], found["late"]), (4, 200, 7))

    def test_replaced(self) -> None:
        """What a session had counted stays in the sum when another takes its place, or none."""
        for turn in range(1, 4):
            self.begin()
            self.assertEqual(self.tunnel.totals()["sent_bytes"], 200 * turn)
        self.tunnel.drop_session("gateway")
        self.tunnel.drop_session("gateway")
        self.assertEqual(self.tunnel.totals()["sent_bytes"], 600)
