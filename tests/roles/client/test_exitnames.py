"""Names by way of an exit: who is answered there, and that it is asked first whether it does."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.logger import capturedLogs
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.client.exitnames import ExitNames
from tests.fakes_names import MemoryNet, answering, question, said, starting

HOME, LAPTOP, OTHER = "10.73.0.3", "10.73.0.2", "10.73.0.4"
PEERS = {"home": (HOME,), "laptop": (LAPTOP,), "other": (OTHER,)}


class ExitNamesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.net, self.proved = MemoryNet(), list[tuple[str, ...]]()
        self.names = ExitNames(self.net, lambda: ("192.168.1.1",), ("10.73.0.0/24",))
        self.net.servers["192.168.1.1"] = answering("192.0.2.1", "10.73.0.9")

    def ask(self, name: str, caller: str = LAPTOP) -> tuple[int, list[str]] | None:
        here = self.net.udp[0]
        before = len(here.sent)
        here.protocol.datagramReceived(question(name), (caller, 40000))
        self.net.advance(0.02)
        return said(here.sent[-1][0]) if len(here.sent) > before else None

    def prove(self, *servers: str) -> tuple[str, ...]:
        self.names.prove(servers, lambda: self.proved.append(self.names.proven))
        for _ in range(20):
            self.net.advance(1)
        return self.names.proven

    def test_answers(self) -> None:
        """An exit answers those whose exit it is and nobody else, for peers and for the world, at its own addresses."""
        self.names.answer((HOME, ""), (), PEERS)
        self.assertEqual(self.net.udp, [])
        for _ in range(2):
            self.names.answer((HOME, ""), (LAPTOP,), PEERS)
        self.assertEqual([each.interface for each in self.net.udp], [HOME])
        self.assertEqual(self.ask("other.morph"), (dns.OK, [OTHER]))
        self.assertEqual(self.ask("nobody.morph"), (dns.ENAME, []))
        self.assertEqual(self.ask("wiki.example"), (dns.OK, ["192.0.2.1"]))
        self.assertIsNone(self.ask("other.morph", OTHER))
        self.names.answer((HOME, ""), (OTHER,), {"home": (HOME,)})
        self.assertIsNone(self.ask("wiki.example"))
        self.assertEqual(self.ask("laptop.morph", OTHER), (dns.ENAME, []))
        self.assertEqual(self.names.counters()["names_strangers"], 2)

    def test_proven(self) -> None:
        """One that answers is used; it is asked once, and again when it was away."""
        self.net.servers[HOME] = starting(dns.Record_SOA(b"gateway.morph", b"x"))
        for _ in range(2):
            self.assertEqual(self.prove(HOME, "fd73::3"), (HOME,))
        self.assertEqual(self.proved, [(HOME,)])
        self.assertEqual(self.prove(), ())
        self.assertEqual(self.prove(HOME), (HOME,))
        self.assertEqual(len([to for to, _ in self.net.asked if to == HOME]), 2)

    def test_of_before(self) -> None:
        """One that says nothing, or nothing of our network, is not."""
        self.net.servers[OTHER] = answering(code=dns.ENAME)
        for server in (HOME, OTHER):
            self.assertEqual(self.prove(server), ())
        self.assertEqual(self.proved, [])

    def test_later(self) -> None:
        """One that answers a moment after it has come is asked again, less and less often; no more at the end."""
        self.assertEqual(self.prove(HOME), ())
        self.net.servers[HOME] = starting(dns.Record_SOA(b"gateway.morph", b"x"))
        self.assertEqual((self.prove(HOME), self.proved), ((HOME,), [(HOME,)]))
        self.assertEqual(self.prove(OTHER), ())
        before = len(self.net.asked)
        self.net.pump([1.0] * 600)
        self.assertLess(len(self.net.asked) - before, 30)
        self.successResultOf(self.names.close())
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_another_by_now(self) -> None:
        """What an earlier exit says is not heeded any more."""
        self.net.servers[HOME] = starting(dns.Record_SOA(b"gateway.morph", b"x"))
        self.names.prove((HOME,), lambda: self.proved.append(()))
        self.names.prove((), lambda: self.proved.append(()))
        self.net.advance(1)
        self.assertEqual((self.names.proven, self.proved), ((), []))

    def test_taken(self) -> None:
        """Where another program has the port nobody is answered, and all else goes on; it is said once, and tried."""
        self.net.taken.add(HOME)
        with capturedLogs() as lines:
            for _ in range(3):
                self.names.answer((HOME,), (LAPTOP,), PEERS)
        self.assertEqual((self.names.counters(), len(lines)), ({}, 1))
        self.net.taken.clear()
        self.names.answer((HOME,), (LAPTOP,), PEERS)
        self.assertEqual(self.ask("other.morph"), (dns.OK, [OTHER]))
        self.successResultOf(self.names.close())

    def test_elsewhere(self) -> None:
        """With another address, or the first one, it answers there."""
        for inner in (("", ""), (HOME, ""), ("10.73.0.9", ""), ("10.73.0.9", "")):
            self.names.answer(inner, (LAPTOP,), PEERS)
        self.assertEqual([(each.interface, each.open) for each in self.net.udp], [(HOME, False), ("10.73.0.9", True)])

    def test_close(self) -> None:
        """Its ports are free then."""
        self.names.answer((HOME,), (LAPTOP,), PEERS)
        self.successResultOf(self.names.close())
        ports: Sequence[bool] = [each.open for each in self.net.udp]
        self.assertEqual(ports, [False])
