"""Whether a client that comes again finds its session, with the store in memory."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import ServerConfig
from morphnet.errors import Refused
from morphnet.roles.server.resumption import Resumption
from morphnet.store.base import Lease
from morphnet.store.memory import MemoryStore
from morphnet.tunnel.keyring import GENERATION_STEP
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.header import MAX_EPOCH
from morphnet.wire.messages.control import Hello


class ResumptionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store, self._drawn = MemoryStore(), 0
        self.lease: Lease | None = None  # what the client was told last, and the epoch
        self.epoch = 0
        self.start()

    def draw(self, count: int) -> bytes:
        """Bytes that were not drawn before."""
        self._drawn += 1
        return self._drawn.to_bytes(count, "little")

    def start(self, pool4: str = "10.73.0.0/24") -> None:
        """A new process of the server; the store outlives it."""
        self.tunnel = Tunnel(server=True, entropy=self.draw)
        config = ServerConfig(name="gw", pool4=pool4, pool6="")
        self.resumption = Resumption(config, self.store, self.tunnel, lambda: 7.0, self.draw)

    def leased(self, name: str = "laptop") -> Lease:
        """What belongs to that client."""
        return self.successResultOf(Deferred.fromCoroutine(self.resumption.lease(name)))

    def come(self, *, hears: bool = True) -> tuple[Session, bool]:
        """The client comes with what it knows, and hears the answer or not."""
        lease, known = self.leased(), self.lease.session.hex() if self.lease is not None else ""
        hello = Hello(name="laptop", session=known, epoch=self.epoch)
        session, resumed = self.resumption.session(hello, "laptop", lease)
        epoch = self.resumption.give_keys(session, self.epoch, bytes(64))
        if hears:
            self.lease, self.epoch = lease, epoch
        return session, resumed

    def test_resumed(self) -> None:
        """A client that comes again goes on where it was; its next keys are above every epoch that was used."""
        first, resumed = self.come()
        self.assertEqual((resumed, first.inbound.reorder.midway), (False, False))
        self.epoch += 5
        before = self.epoch
        again, resumed = self.come()
        self.assertEqual((again is first, resumed), (True, True))
        self.assertGreater(self.epoch, before)

    def test_restarted(self) -> None:
        """A new process gives the old name and addresses to a new session, which takes packets from wherever it is."""
        self.come()
        before = self.lease
        self.start()
        self.assertEqual(self.resumption.inner_of("laptop"), ())
        session, resumed = self.come()
        self.assertEqual((resumed, session.inbound.reorder.midway, self.lease), (False, True, before))
        self.assertEqual(self.resumption.inner_of("laptop"), ("10.73.0.2",))
        again, resumed = self.come()
        self.assertEqual((again is session, resumed), (True, True))

    def test_welcome_lost(self) -> None:
        """The first welcome of a new process never arrived: the second says again that it is new."""
        self.come()
        self.start()
        unheard, _ = self.come(hears=False)
        session, resumed = self.come()
        self.assertEqual((session is unheard, resumed), (False, False))
        self.assertTrue(self.come()[1])

    def test_later_welcome_lost(self) -> None:
        """A client that knows the process resumes, though it missed some of its welcomes."""
        self.come()
        for _ in range(3):
            self.come(hears=False)
        self.assertTrue(self.come()[1])

    def test_epochs_begin_anew(self) -> None:
        """When the epochs are used up they begin from below, and the client still resumes."""
        self.epoch = MAX_EPOCH // 2 - 200
        self.come()
        self.come()
        self.assertLess(self.epoch, 3 * GENERATION_STEP)
        self.assertTrue(self.come()[1])

    def test_no_address(self) -> None:
        """A client for which no address is left is refused in a sentence."""
        self.start(pool4="10.73.0.0/30")
        self.leased()
        refused = self.failureResultOf(Deferred.fromCoroutine(self.resumption.lease("phone")), Refused)
        self.assertIn("no inner address is left", str(refused.value))
