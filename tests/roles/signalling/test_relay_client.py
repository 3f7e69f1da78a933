"""A node's line to a relay: how calls end, what is said, and what is carried."""

from __future__ import annotations

from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory

from morphnet.net.websocket import BACKLOG, BEAT, SILENCE, server_factory
from morphnet.rendezvous.relay.registry import COME_AGAIN, Terms
from morphnet.rendezvous.rivals import FIRST
from morphnet.roles.signalling import relay_client
from morphnet.roles.signalling.relay_client import MOST_PEERS
from morphnet.wire.batch import Departure, Endpoint
from morphnet.wire.messages.relay import (
    CALL,
    DATAGRAMS,
    HANDSHAKE,
    Absent,
    Drain,
    Present,
    Register,
    Registered,
    RelayMessage,
    TurnedAway,
    Undelivered,
    Watch,
    address,
    bundle,
    encode,
)
from morphnet.wire.messages.revocations import BEFORE, PartsWanted, Revocations, RevokedPart
from tests.fakes_control import CLIENT_HOST, SERVER_HOST
from tests.fakes_relay import FakeListener, RelayTestCase
from tests.fakes_tls import CLIENT, SERVER, FakeCa, serial_of
from tests.net.fakes import FakeOwner


class CallTests(RelayTestCase):
    """How a call ends."""

    def setUp(self) -> None:
        super().setUp()
        self.listener = FakeListener("laptop")
        self.relay_client = self.client(self.listener)

    def connect(self) -> list[tuple[object, ...]]:
        """Call and see what comes of it."""
        self.listener.heard.clear()
        self.relay_client.connect()
        self.net.settle()
        return self.listener.heard

    def test_registered(self) -> None:
        """A good node is registered; it knows the relay's address, its own, and the group."""
        self.assertEqual(self.connect(), [("registered",)])
        client = self.relay_client
        self.assertEqual((client.address, client.local, client.group), (SERVER_HOST, CLIENT_HOST, "X25519MLKEM768"))
        assert client.answer is not None
        self.assertEqual(client.answer.observed, (f"line {CLIENT_HOST} 50000",))

    def test_refused(self) -> None:
        """What the relay has against a node reaches it, with the time after which to come again."""
        self.node("laptop", instance=2 << 32)
        self.assertEqual(self.connect(), [("refused", FIRST, COME_AGAIN)])
        self.assertIsNone(self.relay_client.answer)
        self.net.pass_by(3)
        self.assertEqual(self.relay.counters()["lines"], 1)
        self.assertEqual(self.listener.heard[1:], [])

    def test_revoked(self) -> None:
        """A revoked node is told so."""
        identity = self.ca.identity("laptop", CLIENT)
        self.revoked.add(serial_of(identity))
        self.relay_client = self.client(self.listener, identity)
        self.assertEqual(self.connect(), [("refused", "certificate revoked", 60.0)])

    def test_certificate_refused(self) -> None:
        """A node whose certificate goes no further than TLS knows that it was the certificate."""
        self.relay_client = self.client(self.listener, self.ca.identity("laptop", CLIENT, days=(-2, -1)))
        self.assertEqual(self.connect(), [("refused", "the relay does not accept our certificate", None)])

    def test_wrong_relay(self) -> None:
        """Another server, another network's, and a node that plays the relay are not talked to."""
        for identity, reason in (
            (self.ca.identity("other", SERVER), "certificate of another name"),
            (self.ca.identity("relay", CLIENT), "certificate of a wrong usage"),
            (FakeCa().identity("relay", SERVER, trust=self.ca.pem), ""),
        ):
            self.tls.use(identity)
            ((outcome, why),) = self.connect()
            self.assertEqual(outcome, "failed")
            self.assertIn(reason, str(why))
        self.assertEqual(self.registry.members, [])

    def test_nobody(self) -> None:
        """Nobody there, somebody who says nothing, or nothing after TLS: a failure, in time, and only one."""
        self.net.servers.clear()
        self.net.refusing.add(SERVER_HOST)
        self.assertEqual(self.connect(), [("failed", "connection refused")])
        self.net.refusing.clear()
        self.net.servers[SERVER_HOST] = cast(IProtocolFactory, Factory.forProtocol(Protocol))
        self.connect()
        self.net.pass_by(11)
        self.assertEqual([each[0] for each in self.listener.heard], ["failed"])
        self.net.servers[SERVER_HOST] = TLSMemoryBIOFactory(
            self.tls, False, cast(IProtocolFactory, Factory.forProtocol(Protocol)), self.net
        )
        self.connect()
        self.net.pass_by(11)
        self.assertEqual([each[0] for each in self.listener.heard], ["failed"])

    def test_given_up(self) -> None:
        """A call may be given up at any moment, silently; the next one is as good as the first."""
        for bytes_first in range(40):
            self.listener.heard.clear()
            self.relay_client.connect()
            self.net.advance(0)
            for pump in self.net.pumps[-1:]:
                for _ in range(bytes_first):
                    pump.pump()
            heard = list(self.listener.heard)
            self.relay_client.close()
            self.net.pass_by(3)
            self.assertEqual(self.listener.heard, heard, bytes_first)
            self.assertEqual((self.relay.counters()["lines"], self.registry.members), (0, []), bytes_first)
        self.assertEqual(self.connect(), [("registered",)])

    def test_called_anew(self) -> None:
        """A new call takes the place of the line that is up; the relay sees the same process."""
        self.connect()
        self.assertEqual(self.connect(), [("registered",)])
        self.net.pass_by(3)
        self.assertEqual(len(self.registry.members), 1)
        self.assertEqual(self.listener.heard, [("registered",)])
        self.assertIsNotNone(self.relay_client.answer)

    def test_lost(self) -> None:
        """A line that ends is told, after all who were there are told to be gone; then nobody can be reached."""
        self.node("phone")
        self.assertEqual(self.connect(), [("registered",), ("present", "phone")])
        self.listener.heard.clear()
        self.relay.close()
        self.net.pass_by(3)
        self.assertEqual([each[0] for each in self.listener.heard], ["absent", "lost"])
        self.assertEqual((self.relay_client.peers, self.relay_client.answer, self.relay_client.address), ({}, None, ""))
        self.assertFalse(self.relay_client.post("phone", DATAGRAMS, b"sealed"))

    def test_relay_dumb(self) -> None:
        """A relay that has gone without a word is noticed; at once, if there is reason to doubt it."""
        for doubt, seconds in ((False, BEAT + SILENCE + 1), (True, 2)):
            self.connect()
            pump = self.net.pumps.pop()
            if doubt:
                self.relay_client.prove(1.0)
            for _ in range(seconds):
                self.net.advance(1)
            self.assertTrue(pump.clientIO.disconnecting, doubt)
            pump.flush()
            self.assertEqual([each[0] for each in self.listener.heard][-1:], ["lost"])
            self.net.pass_by(SILENCE)

    def test_proved(self) -> None:
        """A relay that lives proves it, and the line goes on."""
        self.connect()
        self.relay_client.prove(1.0)
        self.net.pass_by(60)
        self.assertEqual(self.listener.heard, [("registered",)])

    def test_no_certificate_trouble(self) -> None:
        """Asked to prove itself before it is up, it does nothing."""
        self.relay_client.prove(1.0)
        self.relay_client.close()
        self.assertEqual(self.relay_client.local, "")


class TrafficTests(RelayTestCase):
    """Two nodes at one relay."""

    def setUp(self) -> None:
        super().setUp()
        self.laptop, self.at_laptop = self.node("laptop")
        self.phone, self.at_phone = self.node("phone")
        self.net.settle()
        self.at_laptop.heard.clear()
        self.at_phone.heard.clear()

    def test_coming_and_going(self) -> None:
        """A node hears of another that comes, that comes by another line, and that goes."""
        tv, _ = self.node("tv")
        self.assertEqual(self.at_laptop.heard, [("present", "tv")])
        tv.connect()
        self.net.settle()
        tv.close()
        self.net.settle()
        self.assertEqual(self.at_laptop.heard[1:], [("absent", "tv"), ("present", "tv"), ("absent", "tv")])
        self.assertEqual(list(self.laptop.peers), ["phone"])

    def test_datagrams(self) -> None:
        """Datagrams come out at the other side as they went in, from the peer's name, in batches; both ends count."""
        datagrams = b"".join(bytes((each,)) * 100 for each in range(10))
        self.laptop.send(
            [Departure(7, Endpoint("phone", 0), datagrams, 100), Departure(7, Endpoint("phone", 0), b"x", 1)]
        )
        self.net.settle()
        self.assertEqual(self.at_phone.arrivals, [("laptop", datagrams, 100), ("laptop", b"x", 1)])
        self.assertEqual((self.laptop.sent, self.phone.received, self.laptop.refused), (2, 2, 0))
        self.assertEqual(self.laptop.sent_bytes + 2 * 5, self.phone.received_bytes)

    def test_handshake(self) -> None:
        """Bytes of a handshake, and the wish for one, reach the peer."""
        self.laptop.post("phone", HANDSHAKE, b"hello")
        self.laptop.post("phone", CALL, b"")
        self.net.settle()
        self.assertEqual(self.at_phone.heard, [("handshake", "laptop", b"hello"), ("called", "laptop")])

    def test_nobody(self) -> None:
        """What is for nobody is counted, and brings nobody down."""
        self.laptop.send([Departure(7, Endpoint("tv", 0), b"x", 1)])
        self.laptop.post("tv", HANDSHAKE, b"hello")
        self.assertEqual((self.laptop.sent, self.laptop.refused), (0, 1))

    def test_line_full(self) -> None:
        """Datagrams that find the line full are dropped and counted; when it moves again they go."""
        io = self.net.pumps[0].clientIO
        io.producer.pauseProducing()
        departure = Departure(7, Endpoint("phone", 0), bytes(10_000), 1000)
        self.laptop.send([departure] * 100)
        self.assertLess(self.laptop.sent * 10_000, BACKLOG + 10_000)
        self.assertEqual(self.laptop.sent + self.laptop.refused, 100)
        io.producer.resumeProducing()
        sent = self.laptop.sent
        self.laptop.send([departure])
        self.assertEqual(self.laptop.sent, sent + 1)

    def test_drain_and_lists(self) -> None:
        """What a relay has to say to all is heard."""
        lists: list[RelayMessage] = [Revocations("CRL"), RevokedPart("1f 1\n"), PartsWanted(("ab" * 32,))]
        said: list[RelayMessage] = [Drain(5.0, "update"), *lists]
        for message in said:
            self.registry.members[0].line.tell(message)
        self.net.settle()
        self.assertEqual(self.at_laptop.heard, [("said", message) for message in said])

    def test_brings_a_list(self) -> None:
        """A node may bring a list of revoked certificates; whoever spreads them hears when it comes and goes."""
        self.assertEqual(self.lists.told, [("joined", "laptop", BEFORE), ("joined", "phone", BEFORE)])
        self.lists.told.clear()
        self.laptop.tell(Revocations("CRL"))
        self.laptop.close()
        self.laptop.tell(Revocations("LATE"))
        self.net.pass_by(3)
        self.assertEqual(self.lists.told, [("heard", "laptop", Revocations("CRL")), ("left", "laptop")])

    def test_too_fast(self) -> None:
        """Who sends faster than its rate is not read for a while; all that it sent arrives in the end."""
        self.serve(terms=Terms(node_rate=100_000.0))
        laptop, _ = self.node("laptop")
        _, at_phone = self.node("phone")
        server, turns = self.net.pumps[-2].serverIO, list[str]()
        self.patch(server, "pauseProducing", lambda: turns.append("pause"))
        self.patch(server, "resumeProducing", lambda: turns.append("read on"))
        for number in range(20):
            laptop.send([Departure(7, Endpoint("phone", 0), bytes((number,)) * 10_000, 1000)])
            self.net.settle()
        self.assertGreater(self.registry.counts["paused"], 0)
        self.net.pass_by(5, 0.05)
        self.assertEqual([data[0] for _, data, _ in at_phone.arrivals], list(range(20)))
        self.assertEqual(turns, ["pause", "read on"])

    def test_revoked_meanwhile(self) -> None:
        """A node that is revoked while it is up is hung up on."""
        guest = next(each for each in self.registry.members if each.name == "laptop")
        self.registry.revoke(guest.network, [guest.line.serial], 3)
        self.net.pass_by(3)
        self.assertEqual(self.at_laptop.heard[-1][0], "lost")
        self.assertEqual(self.at_phone.heard[0], ("absent", "laptop"))


class HostileTests(RelayTestCase):
    """A relay that says what it likes."""

    def setUp(self) -> None:
        super().setUp()
        self.evil = FakeOwner()
        inner = server_factory(self.evil, self.net)
        self.net.servers[SERVER_HOST] = TLSMemoryBIOFactory(self.tls, False, inner, self.net)
        self.listener = FakeListener("laptop")
        self.relay_client = self.client(self.listener)

    def up(self, *more: RelayMessage) -> list[tuple[object, ...]]:
        """A line that is up, and what was said on it; what the node heard."""
        self.listener.heard.clear()
        self.relay_client.connect()
        self.net.settle()
        self.say(Registered(5, ()), *more)
        return self.listener.heard

    def say(self, *messages: RelayMessage | bytes) -> None:
        """Texts, or binaries."""
        assert self.evil.socket is not None
        for message in messages:
            if isinstance(message, bytes):
                self.evil.socket.send_binary(message)
            else:
                self.evil.socket.send_text(encode(message))
        self.net.settle()

    def test_out_of_place(self) -> None:
        """What a relay has not to say ends the line; before the answer it is a failure, later a loss."""
        wrong: list[RelayMessage] = [Present(1, "phone", "0" * 16), Absent(1, "phone"), Drain(1.0), Watch(()),
                                     Register("phone", "0" * 16), Undelivered(1, True)]  # fmt: skip
        for message in wrong:
            self.listener.heard.clear()
            self.relay_client.connect()
            self.net.settle()
            self.say(message)
            self.assertEqual([each[0] for each in self.listener.heard], ["failed"], message)
        for message in (Registered(6, ()), TurnedAway("no"), Watch(()), Register("phone", "0" * 16)):
            self.up(message)
            self.assertEqual([each[0] for each in self.listener.heard], ["registered", "lost"], message)

    def test_junk(self) -> None:
        """Envelopes that are none end the line; from numbers that nobody has they are dropped."""
        peer = Present(9, "phone", "0" * 16)
        self.up(peer)
        self.say(address(8, DATAGRAMS, b""), address(8, HANDSHAKE, b"x"), address(0, CALL, b""))
        self.assertEqual(self.listener.heard, [("registered",), ("present", "phone")])
        for junk in (b"", b"\0\0\0\1", address(9, 3, b"x"), address(9, DATAGRAMS, b"\0\0x"), address(9, DATAGRAMS, b""),
                     address(9, DATAGRAMS, bundle(bytes(1000), 1))):  # fmt: skip
            self.up(peer)
            self.say(junk)
            self.assertEqual(self.listener.heard[-1][0], "lost", junk)
        self.assertEqual(self.listener.arrivals, [])

    def test_numbers(self) -> None:
        """A peer with a new number has the old one no more; who takes another's number takes its name."""
        self.up(Present(9, "phone", "0" * 16), Present(10, "phone", "0" * 16))
        self.say(address(9, CALL, b"x"), address(10, CALL, b"x"))
        self.assertEqual([each for each in self.listener.heard if each[0] == "called"], [("called", "phone")])
        self.say(Absent(9, "phone"))
        self.assertIn("phone", self.relay_client.peers)
        self.say(Absent(10, "phone"), Absent(10, "phone"))
        self.assertEqual(self.listener.heard.count(("absent", "phone")), 1)
        self.assertEqual(self.relay_client.peers, {})

    def test_names_without_end(self) -> None:
        """Of a relay so many peers are heard; who is known already is heard on, and who goes makes room."""
        self.up(*(Present(number + 1, f"n{number}", "0" * 16) for number in range(MOST_PEERS + 50)))
        self.assertEqual((len(self.relay_client.peers), self.relay_client.unheeded), (MOST_PEERS, 50))
        self.listener.heard.clear()
        late = Present(9999, "phone", "0" * 16)
        self.say(Present(9, "n8", "1" * 16), late, Absent(9, "n8"), late)
        self.assertEqual(self.listener.heard, [("present", "n8"), ("absent", "n8"), ("present", "phone")])

    def test_talks_without_end(self) -> None:
        """A relay that says more than any has to say is read slowly, and what it says is heard in the end."""
        self.patch(relay_client, "TEXTS_AT_ONCE", 10)
        self.relay_client = self.client(self.listener)
        self.up(*(Drain(float(turn)) for turn in range(100)))
        self.assertLessEqual(len(self.listener.heard), 11)
        self.net.pass_by(1.0, 0.05)
        self.assertEqual(len(self.listener.heard), 101)

    def test_undelivered(self) -> None:
        """What did not arrive is counted."""
        self.up(Undelivered(9, True), Undelivered(9, False))
        self.assertEqual(self.relay_client.refused, 2)

    def test_after_the_line(self) -> None:
        """What comes from a line that was given up is not heard."""
        self.up()
        self.listener.heard.clear()
        self.relay_client.close()
        self.say(Present(9, "phone", "0" * 16), Drain(1.0), address(9, CALL, b"x"))
        self.net.pass_by(3)
        self.assertEqual((self.listener.heard, self.relay_client.peers), ([], {}))

    def test_address(self) -> None:
        """A node knows where its relay is, whatever the relay says."""
        self.up()
        self.assertEqual((self.relay_client.host, self.relay_client.address), (SERVER_HOST, SERVER_HOST))
        self.assertIsInstance(self.net.pumps[-1].clientIO.getPeer(), IPv4Address)
