"""A peer in `morphnet status`."""

from __future__ import annotations

from typing import cast

from morphnet.net.peer_stream import PeerStream
from morphnet.roles.peers.statuses import peer_status
from morphnet.status import PeerStatus
from morphnet.tunnel.carrier import STREAM, Carrier
from tests.roles.peers.fakes import INNER
from tests.roles.peers.test_peer import THIS, PeerTestCase
from tests.roles.peers.test_reaching import FakeStream


class PeerStatusTests(PeerTestCase):
    def status(self, stream: FakeStream | None = None) -> PeerStatus:
        """As it stands."""
        return peer_status(
            self.around,
            self.peer,
            lambda number: ("192.168.1.2", 41194) if number == self.wifi.number else None,
            lambda number: cast(PeerStream, stream) if stream is not None and number == stream.number else None,
        )

    def test_direct(self) -> None:
        """By a direct path: both ends of it, and what was decided."""
        shown = self.status()
        self.assertEqual(
            (shown.name, shown.state, shown.way, shown.inner), ("bert", "direct", "direct", (INNER["bert"],))
        )
        self.assertEqual((shown.local, shown.remote), ("192.168.1.2:41194", "198.51.100.6:9"))
        self.assertEqual((len(shown.words), len(shown.decisions)), (6, len(self.peer.decisions)))

    def test_counters(self) -> None:
        """What the session with it has counted, which only grows; nothing without one."""
        assert self.peer.session is not None
        before = self.status().counters
        self.peer.session.counts["forged"] += 12
        after = self.status().counters
        self.assertEqual(after, {**before, "forged": 12})
        self.peer.forget("for this test")
        self.assertEqual(self.status().counters, {})

    def test_since(self) -> None:
        """Since when it is so, by the wall clock."""
        before = self.status().since
        self.clock.advance(0.5)
        self.assertEqual(self.status().since, before)

    def test_relay(self) -> None:
        """Through a relay: by its name."""
        self.peer.forget("for this test")
        session = self.meet(THIS)
        for path in session.paths.values():
            path.enter(self.direct.state, self.clock.seconds())
        shown = self.status()
        self.assertEqual((shown.way, shown.local, shown.remote), ("relay", "", "relay relay7"))

    def test_stream(self) -> None:
        """By a stream: as what it is known."""
        self.peer.forget("for this test")
        door = self.attach(Carrier(STREAM, "tcp"))
        self.path(self.meet(THIS), door, "198.51.100.6")
        shown = self.status(FakeStream(door.number))
        self.assertEqual((shown.way, shown.remote), ("direct", f"tcp {door.number}"))

    def test_none(self) -> None:
        """Without a session there is no way; what it was met as is told still."""
        self.peer.forget("for this test")
        shown = self.status()
        self.assertEqual((shown.way, shown.remote, shown.rtt, shown.inner), ("none", "", None, (INNER["bert"],)))
