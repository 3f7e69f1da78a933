"""Who is answered, by UDP and TCP, and what a caller may cost."""

from __future__ import annotations

import struct
from typing import Any

from twisted.internet.testing import StringTransport
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.net.dnsmessage import unfit_outside
from morphnet.net.nameserver import BURST, IDLE, MOST_AT_ONCE, MOST_STREAMS_OF_ONE, NameServer
from morphnet.net.upstream import Upstream
from morphnet.rendezvous.naming import Naming, Zone
from tests.fakes_names import MemoryNet, answering, question, said

HERE, MEMBER, STRANGER = "10.73.0.1", "10.73.0.2", "192.0.2.66"


class NameServerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.net, zone = MemoryNet(), Zone(("10.73.0.0/24",))
        zone.are({"laptop": (MEMBER,)})
        naming = Naming(zone, {}, lambda: ("9.9.9.9",))
        upstream = Upstream(self.net, unfit_outside(()))
        self.server = NameServer(self.net, naming, upstream, lambda host: host.startswith("10.73."))
        self.server.listen(HERE)
        self.udp, self.tcp = self.net.udp[0], self.net.tcp[0]
        self.net.servers["9.9.9.9"] = answering("192.0.2.1")

    def ask(self, data: bytes, caller: str = MEMBER) -> None:
        self.udp.protocol.datagramReceived(data, (caller, 5000))

    def call(self, caller: str = MEMBER) -> tuple[Any, StringTransport]:
        return self.tcp.called(caller)

    def test_where(self) -> None:
        """At its address alone, at 53 of both."""
        self.assertEqual([(each.interface, each.port) for each in (self.udp, self.tcp)], [(HERE, 53)] * 2)

    def test_answers(self) -> None:
        """Members hear of machines at once, of the world when it has been asked, in the letters of their question."""
        self.ask(question("LapTop.morph"))
        (data, to), *_ = self.udp.sent
        self.assertEqual((said(data), to), ((dns.OK, [MEMBER]), (MEMBER, 5000)))
        self.assertIn(b"LapTop", data)
        self.ask(question("x.morph"))
        self.assertEqual(said(self.udp.sent[-1][0]), (dns.ENAME, []))
        self.assertEqual(self.net.asked, [])
        self.ask(question("example.org"))
        self.net.advance(0.02)
        self.assertEqual(said(self.udp.sent[-1][0]), (dns.OK, ["192.0.2.1"]))
        self.assertEqual(self.server.counters(), {"names_answered": 3, "names_asked": 1})

    def test_strangers(self) -> None:
        """A stranger, by UDP or TCP, gets silence; so does noise."""
        self.ask(question("laptop.morph"), STRANGER)
        self.assertIsNone(self.call(STRANGER)[0])
        self.ask(b"noise")
        self.ask(question("laptop.morph") + bytes(2000))
        self.assertEqual(self.udp.sent, [])
        self.assertEqual(self.server.counters(), {"names_strangers": 2, "names_malformed": 2})

    def test_flood(self) -> None:
        """Who asks too much is not heard, and the others are."""
        for _ in range(BURST + 50):
            self.ask(question("laptop.morph"))
        self.ask(question("laptop.morph"), "10.73.0.3")
        self.assertEqual(len(self.udp.sent), BURST + 1)
        self.assertEqual(self.server.counters()["names_too_many"], 50)

    def test_tops(self) -> None:
        """Who checks signatures asks for the keys of a name of one label; no machine of the world is called so."""
        for kind, asked in ((dns.A, 0), (dns.AAAA, 0), (43, 1), (48, 2), (dns.NS, 3), (dns.SOA, 4)):
            self.ask(question("org", kind))
            self.assertEqual(len(self.net.asked), asked)
        for name in ("morph", "laptop", "laptop.morph"):
            self.ask(question(name, 43))
        self.assertEqual(len(self.net.asked), 4)

    def test_refused(self) -> None:
        """Whole zones, and all that there is of a name, are given to nobody."""
        self.ask(question("morph", 252))
        self.ask(question("example.org", 255))
        self.assertEqual([said(data)[0] for data, _ in self.udp.sent], [dns.EREFUSED] * 2)
        self.assertEqual(self.net.asked, [])

    def test_stream(self) -> None:
        """By TCP several questions are answered, each when its answer is there; then silence ends it."""
        protocol, transport = self.call()
        for data in (question("example.org", number=1), question("laptop.morph", number=2)):
            protocol.dataReceived(struct.pack("!H", len(data)) + data)
        self.net.advance(0.02)
        found, numbers = transport.value(), []
        while found:
            (length,) = struct.unpack_from("!H", found)
            numbers.append(struct.unpack_from("!H", found, 2)[0])
            found = found[2 + length :]
        self.assertEqual(numbers, [2, 1])
        self.assertFalse(transport.disconnected)
        self.net.advance(IDLE)
        self.assertTrue(transport.disconnected)

    def test_bad_stream(self) -> None:
        """Noise, what is too long, and too many at once end a connection."""
        many = question("example.net")
        framed = struct.pack("!H", len(many)) + many
        for data in (b"\0\5noise", b"\xff\xff", framed * (MOST_AT_ONCE + 1)):
            protocol, transport = self.call()
            protocol.dataReceived(data)
            self.assertTrue(transport.disconnected, data[:10])
            protocol.connectionLost()
        self.net.advance(5)
        self.assertEqual(self.server.open, set())

    def test_reads_nothing(self) -> None:
        """Who asks on without reading the answers is hung up on; who reads them in the end is answered."""
        data = question("laptop.morph")
        framed = struct.pack("!H", len(data)) + data
        protocol, transport = self.call()
        protocol.dataReceived(framed)
        self.assertIs(transport.producer, protocol)
        protocol.pauseProducing()
        protocol.resumeProducing()
        protocol.dataReceived(framed)
        self.assertFalse(transport.disconnected)
        protocol.pauseProducing()
        protocol.dataReceived(framed)
        self.assertTrue(transport.disconnected)

    def test_streams_of_one(self) -> None:
        """One member has a few connections, and a place is free when one ends."""
        made = [self.call() for _ in range(MOST_STREAMS_OF_ONE)]
        self.assertIsNone(self.call()[0])
        self.assertIsNotNone(self.call("10.73.0.3")[0])
        made[0][0].connectionLost()
        self.assertIsNotNone(self.call()[0])

    def test_taken(self) -> None:
        """A port that another program has is said, and nothing of ours stays open."""
        self.net.taken.add("10.73.0.9")
        trouble = self.assertRaises(HostError, self.server.listen, "10.73.0.9")
        self.assertIn("cannot answer questions for names at 10.73.0.9 port 53", str(trouble))

    def test_close(self) -> None:
        """Ports and connections are closed, what is asked is forgotten."""
        _, transport = self.call()
        self.ask(question("example.org"))
        self.successResultOf(self.server.close())
        self.assertEqual((self.udp.open, self.tcp.open, transport.disconnected), (False, False, True))
        self.assertEqual(self.net.open_sockets(), [])
