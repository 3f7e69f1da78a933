"""What each client has carried is written once, whatever becomes of its session or of the disk."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.errors import HostError
from morphnet.roles.server.traffic import Traffic
from morphnet.store.memory import MemoryStore
from morphnet.tunnel.path import Path
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Endpoint


class FullStore(MemoryStore):
    """Its disk may be full."""

    full = False

    def add_traffic(self, name: str, sent: int, received: int) -> Deferred[None]:
        if self.full:
            return fail(HostError("the database: disk is full"))
        return super().add_traffic(name, sent, received)


class TrafficTests(SynchronousTestCase):
    """What each client has sent and received is written once, whatever becomes of its session."""

    def setUp(self) -> None:
        self.store = FullStore()
        self.begun = 0
        self.tunnel = Tunnel(server=True, entropy=bytes)
        self.traffic = Traffic(self.tunnel, self.store)

    def begin(self) -> None:
        """A session of the laptop, in place of the one there may be."""
        self.begun += 1
        self.tunnel.add_session("laptop", self.begun.to_bytes(16, "big"), Tuning(), [])

    def carry(self, sent: int, received: int) -> None:
        """So much more on its path."""
        session = self.tunnel.sessions["laptop"]
        path = session.paths.setdefault(0, Path(0, 0, Endpoint("198.51.100.7", 4000), 1440, 0.0))
        path.delivery.sent_bytes += sent
        path.received.bytes += received

    def written(self) -> tuple[int, int] | None:
        """What the store has of it, after another write."""
        self.traffic.write()
        return self.successResultOf(self.store.traffic()).get("laptop")

    def test_full_disk(self) -> None:
        """What cannot be written is owed until it can; nobody else is the worse for it."""
        self.begin()
        self.store.full = True
        for _ in range(3):
            self.carry(10, 1)
            self.assertIsNone(self.written())
        self.store.full = False
        self.carry(1, 0)
        self.assertEqual((self.written(), self.written()), ((31, 3), (31, 3)))

    def test_going_on(self) -> None:
        """Each write adds what came since the one before."""
        self.begin()
        self.assertIsNone(self.written())
        self.carry(10, 1)
        self.assertEqual(self.written(), (10, 1))
        self.carry(5, 0)
        self.assertEqual((self.written(), self.written()), ((15, 1), (15, 1)))

    def test_ended(self) -> None:
        """What a session carried between the last write and its end is written with the next."""
        for end in (self.begin, lambda: self.tunnel.drop_session("laptop")):
            self.begin()
            before = self.written() or (0, 0)
            self.carry(100, 10)
            end()
            self.assertEqual(self.written(), (before[0] + 100, before[1] + 10))
        self.begin()
        self.carry(1, 1)
        self.assertEqual(self.written(), (201, 21))
