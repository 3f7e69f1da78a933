"""What a server answers to `hello`, on a data plane of its own and a store in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, cast

from cryptography.x509 import Certificate
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.accounting import AccountingConfig
from morphnet.config.roles import ServerConfig, Tuning
from morphnet.errors import Refused
from morphnet.net.pump import Pump
from morphnet.pki.authority import Description
from morphnet.rendezvous.enrolment import Enrolment
from morphnet.rendezvous.rivals import CLONED, FIRST
from morphnet.roles.certificates.publishing import Publisher
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.roles.process.reloading import Reloading
from morphnet.roles.server.accounting import Accounting, month_of
from morphnet.roles.server.certificates import Certificates
from morphnet.roles.server.node import LIVE, Parts, ServerNode
from morphnet.roles.signalling.control_server import Caller, RefusedForNow
from morphnet.store.base import Lease
from morphnet.store.memory import MemoryStore
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.messages.control import Goodbye, Hello, Notice, Scheduler, Signal, Welcome
from morphnet.wire.messages.networks import Advertise
from morphnet.wire.messages.revocations import BEFORE, Listing, Revocations
from morphnet.wire.messages.terms import PathTerms
from morphnet.wire.messages.trying import Tried, TryPort
from tests.fakes_pki import NOW, an_authority


class FakeCaller:
    """A client on the line."""

    group, host, local, direct = "X25519MLKEM768", "198.51.100.7", "192.0.2.1", True

    def __init__(self, name: str = "laptop", serial: str = "01", not_after: float = 2e9) -> None:
        self.peer = Description(name, "client", serial, 0.0, not_after)
        self.name, self.serial, self.not_after = name, serial, not_after
        self.closed = ""
        self.asked = 0  # for a sign of life
        self.said: list[Signal] = []
        self.told: list[Listing] = []

    def prove(self, within: float) -> None:
        """Count that it was asked; it proves nothing."""
        self.asked += 1

    def send(self, signal: Signal) -> None:
        self.said.append(signal)

    def export(self, context: bytes) -> bytes:
        """The same zeros for every context."""
        return bytes(64)

    def tell(self, message: Listing) -> None:
        self.told.append(message)

    def close(self, reason: str = "") -> None:
        self.closed = reason

    def finish(self, last: Signal, reason: str) -> None:
        """Close it; the last signal is not kept."""
        self.closed = reason


class SlowStore(MemoryStore):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[Deferred[Lease], Lease]] = []

    def lease(self, name: str, pool4: str, pool6: str, fresh_session: bytes) -> Deferred[Lease]:
        answer: Deferred[Lease] = Deferred()
        super().lease(name, pool4, pool6, fresh_session).addCallback(lambda it: self.waiting.append((answer, it)))
        return answer

    def answer(self) -> None:
        """The oldest question."""
        deferred, lease = self.waiting.pop(0)
        deferred.callback(lease)


class Server:
    """One process; the store outlives it."""

    def __init__(
        self,
        store: MemoryStore,
        directory: FilePath = FilePath("/dev/null/nowhere"),
        cas: Callable[[], Sequence[Certificate]] = list,
        reloading: Reloading[ServerConfig] | None = None,
    ) -> None:
        self._drawn = 0
        self.clock = Clock()
        self.pump = Pump(self.clock, Tunnel(server=True, entropy=self.draw), self.clock.seconds)
        revoked, publisher = Revoked(cas, directory / "revoked.pem"), Publisher(directory, cas, None)
        certificates = Certificates("", store, revoked, publisher, self.clock, lambda: NOW)
        enrolment, addresses = cast(Enrolment, None), ["192.0.2.1", "2001:db8::1"]
        self.wall = NOW
        standing = store.accounts.standing(month_of(self.wall))
        self.accounting = Accounting(self.pump.tunnel, store, lambda: self.wall, standing)
        parts = Parts(store, enrolment, certificates, self.accounting, addresses=lambda: addresses, reloading=reloading)
        self.node = ServerNode(ServerConfig(name="gw"), self.pump, parts, self.draw)

    def draw(self, count: int) -> bytes:
        """Bytes that were not drawn before, whatever part of them one looks at."""
        self._drawn += 1
        return self._drawn.to_bytes(count, "little")

    def asked(self, hello: Hello, caller: FakeCaller | None = None) -> Deferred[Welcome]:
        """What comes of a hello."""
        return Deferred.fromCoroutine(cast(Any, self.node.hello(cast(Caller, caller or FakeCaller()), hello)))


class HelloTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = MemoryStore()
        self.server = Server(self.store)

    def welcome(self, welcome: Welcome | None = None, epoch: int | None = None) -> Welcome:
        """The answer to a client that was welcomed with `welcome` last, and has come to `epoch` since."""
        came_to = epoch if epoch is not None else welcome.epoch if welcome else 0
        hello = Hello(name="laptop", session=welcome.session if welcome else "", epoch=came_to)
        return self.successResultOf(self.server.asked(hello))

    def test_resumed(self) -> None:
        """A client that comes again goes on where it was; its next keys are above every epoch that was used."""
        first = self.welcome()
        second = self.welcome(first, first.epoch + 5)
        self.assertEqual((first.resumed, second.resumed), (False, True))
        self.assertEqual((first.session, first.inner4), (second.session, second.inner4))
        self.assertGreater(second.epoch, first.epoch + 5)

    def test_repair(self) -> None:
        """Both say how long they wait for what is sent again; with a client of before neither sends again nor waits."""
        for theirs, expected in ((250.0, (0.25, 0.25)), (100.0, (0.1, 0.25)), (0.0, (0.0, 0.0))):
            welcome = self.successResultOf(self.server.asked(Hello(name="laptop", reorder_tcp_ms=theirs)))
            session = self.server.node.tunnel.sessions["laptop"]
            self.assertEqual(welcome.reorder_tcp_ms, 250.0)
            self.assertEqual((session.outbound.patience.tcp, session.inbound.patience.tcp), expected)

    def test_streams(self) -> None:
        """A client is told where it may come by TCP."""
        self.assertEqual(self.welcome().streams, (8443,))

    def test_addresses(self) -> None:
        """A client is told where the data plane is, so that an uplink of the other family finds it too."""
        self.assertEqual(self.welcome().addresses, ("192.0.2.1", "2001:db8::1"))

    def test_welcome_lost_after_drop(self) -> None:
        """An operator drops a session, and the client does not hear its next welcome: the one after says it is new."""
        first = self.welcome()
        self.server.node.tunnel.drop_session("laptop")
        self.welcome(first)  # the client does not hear it
        self.assertFalse(self.welcome(first).resumed)

    def test_dropped_meanwhile(self) -> None:
        """A session that is dropped while the store is asked is begun anew."""
        store = SlowStore()
        self.server = Server(store)
        welcome = self.server.asked(Hello(name="laptop", session="", epoch=0))
        store.answer()
        first = self.successResultOf(welcome)
        asked = self.server.asked(Hello(name="laptop", session=first.session, epoch=first.epoch))
        self.server.node.tunnel.drop_session("laptop")
        store.answer()
        self.assertFalse(self.successResultOf(asked).resumed)
        self.assertIn("laptop", self.server.node.tunnel.sessions)


class CloneTests(SynchronousTestCase):
    """Two processes with one certificate."""

    def setUp(self) -> None:
        self.server = Server(MemoryStore())
        self.first = FakeCaller()
        self.successResultOf(self.server.asked(Hello(name="laptop", instance="1" * 16), self.first))

    def turned(self, instance: str = "2" * 16) -> RefusedForNow:
        """Why another one is turned away."""
        failure = self.failureResultOf(self.server.asked(Hello(name="laptop", instance=instance)), RefusedForNow)
        return cast(RefusedForNow, failure.value)

    def texts(self) -> list[str]:
        """What was told of it."""
        return [each.text for each in self.server.node.happenings(0) if each.kind == "rival"]

    def test_one_stays(self) -> None:
        """The one that is there is asked for a sign of life and stays; the other one is told to come again."""
        self.assertEqual((self.turned().reason, self.turned().reason), (FIRST, CLONED))
        self.assertEqual((self.first.closed, self.first.asked), ("", 2))
        self.assertEqual(len(self.server.node.tunnel.sessions), 1)

    def test_everybody_knows(self) -> None:
        """Both machines and the server's operator read why, in history and status; not with every try."""
        for _ in range(5):
            self.turned()
        self.assertEqual(self.first.said, [Notice(CLONED)])
        self.assertEqual(self.texts(), [f"turned away: {CLONED}"])
        self.assertIn("two machines use the certificate of laptop", self.server.node.warnings()[0])

    def test_other_gone(self) -> None:
        """When the first one is gone the other one is let in, and is the one that stays."""
        self.turned()
        self.turned()
        self.server.node.gone(cast(Caller, self.first), "connection lost")
        second = FakeCaller()
        self.successResultOf(self.server.asked(Hello(name="laptop", instance="2" * 16), second))
        self.assertEqual(self.server.node.warnings(), ())
        self.assertEqual(self.turned("1" * 16).reason, FIRST)
        self.assertEqual(second.closed, "")

    def test_started_anew(self) -> None:
        """
        The next process of the same machine takes over at once; one that was taken over from and comes again lives,
        and is turned away as any other.
        """
        anew = "1" * 8 + "3" * 8
        second = FakeCaller()
        self.successResultOf(self.server.asked(Hello(name="laptop", instance=anew), second))
        self.assertIn("taken over", self.first.closed)
        self.assertEqual((self.texts(), self.server.node.warnings()), ([], ()))
        self.assertEqual([self.turned("1" * 16).reason for _ in range(2)], [FIRST, CLONED])
        self.assertEqual((second.closed, second.asked), ("", 2))

    def test_same_process(self) -> None:
        """The same process by another link takes over at once, and so does a node of before, which does not say."""
        for instance in ("1" * 16, "", "3" * 16):
            self.successResultOf(self.server.asked(Hello(name="laptop", instance=instance)))
        self.assertIn("taken over", self.first.closed)
        self.assertEqual(self.texts(), [])


class CertificateTests(SynchronousTestCase):
    """A session lasts no longer than the certificate that began it."""

    def setUp(self) -> None:
        self.authority, directory = an_authority(), FilePath(self.mktemp())
        directory.mkdir()
        self.server = Server(MemoryStore(), directory, lambda: [self.authority.certificate])
        self.node, self.now = self.server.node, 1000.0
        self.patch(self.node, "_wall", lambda: self.now)
        self.exchange = self.node.certificates.exchange

    def come(self, serial: str = "01", not_after: float = 2000.0, revocations: int = 0) -> FakeCaller:
        """A client that was welcomed."""
        caller = FakeCaller(serial=serial, not_after=not_after)
        hello = Hello(name="laptop", revocations=revocations)
        self.successResultOf(Deferred.fromCoroutine(cast(Any, self.node.hello(cast(Caller, caller), hello))))
        self.node.welcomed(cast(Caller, caller), hello)
        return caller

    def look(self, now: float) -> bool:
        """Whether there is a session, after a look at that time."""
        self.now = now
        self.node.expire()
        return "laptop" in self.node.tunnel.sessions

    def test_expired(self) -> None:
        """At its end the session is closed, with a control link and without one."""
        for here in (True, False):
            caller = self.come()
            if not here:
                self.node.gone(cast(Caller, caller), "lost")
            self.assertEqual((self.look(1989), caller.closed), (True, ""))
            self.assertEqual((self.look(1999), self.look(2000)), (True, False))
            self.now = 1000.0

    def test_asked_for_the_next(self) -> None:
        """A client is asked to come again before the end, once; with a later certificate nothing is closed."""
        first = self.come()
        self.look(1991)
        self.assertIn("come with the next one", first.closed)
        same = self.come()  # it has no other
        self.look(1992)
        self.assertEqual(same.closed, "")
        renewed = self.come("02", 9000.0)
        self.assertEqual((self.look(2001), renewed.closed), (True, ""))

    def test_clock_was_wrong(self) -> None:
        """A clock that goes back closes nothing; one that goes forward closes what has expired by it."""
        self.come()
        self.assertEqual((self.look(-1e6), self.look(1990), self.look(1e6)), (True, True, False))

    def test_listed(self) -> None:
        """Who is in a list is cut off at once, whether the records know of it or not, and is let in no more."""
        caller, signed = self.come(), self.authority.revocations({"1"}, now=NOW)
        other = FakeCaller(serial="1")
        caller.peer = other.peer
        self.node._shown["laptop"] = other.peer
        self.exchange.publish(signed)
        self.assertEqual((caller.closed, self.look(1000)), ("certificate revoked", False))
        asked = Deferred.fromCoroutine(cast(Any, self.node.hello(cast(Caller, other), Hello(name="laptop"))))
        self.failureResultOf(asked, Refused)

    def test_told(self) -> None:
        """A client is told the list after its welcome, and each later one; a client of before is told nothing."""
        first, second = (self.authority.revocations({"1f"}, now=NOW + turn) for turn in (0, 1))
        self.exchange.publish(first)
        old, new = self.come("01", revocations=BEFORE), self.come("02")
        self.exchange.publish(second)
        self.assertEqual((old.told, new.told), ([], [Revocations(first.pem), Revocations(second.pem)]))
        self.node.gone(cast(Caller, new), "lost")
        self.exchange.publish(self.authority.revocations({"1f"}, now=NOW + 2))
        self.assertEqual(len(new.told), 2)

    def test_reload(self) -> None:
        """Another scheduler holds for every session, at both ends; what needs a restart is said to who asks."""
        before = ServerConfig(name="gw")
        fresh = replace(before, nat=False, tuning=Tuning(scheduler="best"))
        directory, reloading = FilePath(self.mktemp()), Reloading(before, lambda: fresh, LIVE)
        self.server = Server(MemoryStore(), directory, reloading=reloading)
        self.node = self.server.node
        caller = self.come()
        told = self.node.reload()
        self.assertIn("tuning.scheduler: applied (1 session(s) use best; ", told)
        self.assertTrue(told.endswith("; nat: restart the process to apply"), told)
        self.assertEqual(self.node.tunnel.sessions["laptop"].outbound.scheduler.name, "best")
        self.assertEqual(caller.said, [Scheduler("best")])

    def test_old_link(self) -> None:
        """What still comes by a link in whose place there is another one changes nothing."""
        old = self.come()
        new = self.come()
        said: list[Signal] = [
            Scheduler("best"),
            Advertise(("192.168.7.0/24",)),
            Goodbye("done"),
            PathTerms(("0 0 1 0",)),
            TryPort(4000, "00" * 16),
        ]
        session = self.node.tunnel.sessions["laptop"]
        before, counted = session.outbound.scheduler.name, len(self.node.happenings(0))
        for signal in said:
            self.node.signal(cast(Caller, old), signal)
        self.assertEqual((session.outbound.scheduler.name, len(self.node.happenings(0))), (before, counted))
        self.assertEqual((self.node.networks.statuses(), session.table._terms, old.said), ((), {}, []))
        self.node.signal(cast(Caller, new), said[0])
        self.assertEqual(session.outbound.scheduler.name, "best")

    def test_try_port(self) -> None:
        """One who asks whether a port is open is told whether a datagram was sent, and that is counted."""
        caller = self.come()
        caller.host = caller.local  # to itself nothing is sent
        self.node.signal(cast(Caller, caller), TryPort(4000, "00" * 16))
        self.assertEqual(caller.said, [Tried("00" * 16)])
        counted = self.node.door_counters()
        self.assertEqual((counted["ports_tried"], counted["ports_untried"]), (0, 1))

    def test_brings(self) -> None:
        """A client may bring a list: a server whose records were lost learns from it."""
        caller = self.come()
        signed = self.authority.revocations({"1f"}, now=NOW)
        self.node.signal(cast(Caller, caller), Revocations(signed.pem))
        self.assertEqual(self.exchange.revoked.serials, {"1f"})


class QuotaTests(SynchronousTestCase):
    """Who has used up a quota is ended, and let in again next month."""

    def setUp(self) -> None:
        self.store = MemoryStore()
        self.server = Server(self.store)
        self.node = self.server.node
        self.node.reconfigure(replace(self.node.config, accounting=AccountingConfig(quota="1k")), {"accounting.quota"})
        self.caller = FakeCaller()

    def test_spent(self) -> None:
        """The session is closed, which is told; another hello is refused with the sentence, until the month is over."""
        self.successResultOf(self.server.asked(Hello(name="laptop"), self.caller))
        self.node.cut_off_spent()
        self.assertIn("laptop", self.node.tunnel.sessions)
        self.node.tunnel.sessions["laptop"].inbound.payload = 1000
        self.node.cut_off_spent()
        self.assertEqual((list(self.node.tunnel.sessions), "is used up" in self.caller.closed), ([], True))
        last = self.node.history.after(0)[-1]
        self.assertEqual((last.kind, last.session), ("quota", "laptop"))
        for server in (self.server, self.again()):
            refused = self.failureResultOf(server.asked(Hello(name="laptop")), RefusedForNow).value
            self.assertIn("the quota of this month, 1 kB, is used up", refused.reason)
        self.server.wall += 31 * 86400
        self.successResultOf(self.server.asked(Hello(name="laptop")))

    def again(self) -> Server:
        """The next process, with the same records."""
        self.successResultOf(self.server.accounting.write())
        server = Server(self.store)
        server.node.reconfigure(self.node.config, {"accounting.quota"})
        return server
