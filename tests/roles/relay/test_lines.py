"""What a relay's port does with those who do not behave."""

from __future__ import annotations

from typing import cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from OpenSSL import crypto
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol

from morphnet.net.limits import Limits
from morphnet.net.websocket import BACKLOG, BEAT, MOST_BACKLOG, SILENCE
from morphnet.rendezvous.relay.registry import COME_AGAIN, Terms
from morphnet.roles.relay.lines import REGISTER_WITHIN
from morphnet.wire.messages.relay import (
    DATAGRAMS,
    MOST_ENVELOPE,
    Drain,
    Present,
    Register,
    Registered,
    RelayMessage,
    TurnedAway,
    Watch,
    address,
    encode,
)
from tests.fakes_control import SERVER_HOST
from tests.fakes_relay import FakeListener, Raw, RelayTestCase
from tests.fakes_tls import CLIENT, INVITE, SERVER, FakeCa, serial_of

REGISTER = encode(Register("laptop", "0" * 16))


class Stranger(Protocol):
    """A peer without TLS."""

    gone = False

    def connectionLost(self, reason: object = None) -> None:
        self.gone = True


class Mute(Raw):
    """One that never begins with HTTP."""

    def startHandshake(self) -> None:
        pass


class Eager(Raw):
    """One that registers before it has listened."""

    def onOpen(self) -> None:
        super().onOpen()
        self.say(REGISTER)


class PortTestCase(RelayTestCase):
    def stranger(self, host: str = "203.0.113.5") -> Stranger:
        """A peer that says nothing."""
        stranger = Stranger()
        self.assertTrue(self.knock(cast(IProtocol, stranger), host))
        return stranger

    def registered(self) -> Raw:
        """A node that misbehaves later."""
        raw = self.raw()
        raw.say(REGISTER)
        self.net.settle()
        self.assertIsInstance(raw.messages()[0], Registered)
        return raw

    def healthy(self) -> list[tuple[object, ...]]:
        """What a client that behaves hears."""
        listener = FakeListener("phone")
        self.client(listener).connect()
        self.net.settle()
        return listener.heard

    def assert_dropped(self, raw: Raw, reason: str = "") -> None:
        """The relay has hung up, and nothing is left of it."""
        self.net.settle()
        self.assertTrue(raw.gone)
        self.assertEqual((self.relay.counters()["lines"], self.registry.members), (0, []))
        if reason:
            self.assertIn(reason, self.relay.admission.complaints.counts)


class StrangerTests(PortTestCase):
    """Before anybody has proven who he is."""

    def test_silent(self) -> None:
        """A connection on which nothing comes is closed after 10 s."""
        stranger = self.stranger()
        self.net.pass_by(9.5, 0.5)
        self.assertFalse(stranger.gone)
        self.net.pass_by(1, 0.5)
        self.assertTrue(stranger.gone)
        self.assertEqual(self.relay.counters()["lines"], 0)

    @given(st.binary(min_size=20, max_size=400))
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    def test_junk(self, junk: bytes) -> None:
        """What is not TLS is closed, now or in time, and reaches nobody."""
        stranger = self.stranger()
        assert stranger.transport is not None
        stranger.transport.write(junk)
        self.net.pass_by(11, 11)
        self.assertTrue(stranger.gone)
        self.assertEqual((self.relay.counters()["lines"], self.registry.members), (0, []))

    def test_no_http(self) -> None:
        """Who is silent after TLS is closed within 10 s of its call."""
        raw = Mute()
        self.patch(self, "make_raw", lambda: raw)
        self.raw()
        self.assertFalse(raw.gone)
        self.net.pass_by(11)
        self.assertTrue(raw.gone)

    def test_another_subprotocol(self) -> None:
        """Who speaks another protocol over WebSocket, or none, does not register."""
        for protocols in ((), ("chat",)):
            raw = self.raw(protocols=protocols)
            if raw.open:
                raw.say(REGISTER)
            self.net.pass_by(REGISTER_WITHIN + 1)
            self.assertTrue(raw.gone, protocols)
            self.assertEqual(self.registry.members, [])

    def test_limited(self) -> None:
        """Five connections at once from one source, twenty a second; TLS never sees the others."""
        self.serve(Limits())
        self.assertEqual([self.knock(cast(IProtocol, Stranger())) for _ in range(8)], [True] * 5 + [False] * 3)
        self.assertTrue(self.knock(cast(IProtocol, Stranger()), "203.0.113.6"))
        self.assertEqual(self.relay.counters()["lines_limited"], 3)
        self.assertEqual(self.relay.counters()["lines_half_open"], 6)

    def test_flood_from_one(self) -> None:
        """Half-open sockets of one source: the oldest make room, and a node gets in all the same."""
        strangers = [self.stranger("198.51.100.7") for _ in range(300)]
        self.assertEqual(self.relay.counters()["lines_half_open"], 64)
        self.assertEqual(self.healthy(), [("registered",)])
        self.assertEqual(sum(stranger.gone for stranger in strangers), 300 - 63)
        self.net.pass_by(11, 5.5)
        self.assertEqual(self.relay.counters()["lines"], 1)

    def test_full(self) -> None:
        """When there are too many, one who has not proven himself makes room; when all have, nobody gets in."""
        self.serve(Limits(rate=1e6, burst=1 << 20, connections=2))
        first, waiting = self.registered(), self.stranger()
        self.assertEqual(self.healthy(), [("registered",), ("present", "laptop")])
        self.assertEqual((first.gone, waiting.gone), (False, True))
        self.assertFalse(self.knock(cast(IProtocol, Stranger())))
        self.assertEqual(self.relay.counters()["lines_full"], 1)

    def test_group(self) -> None:
        """A handshake without ML-KEM goes no further than that."""
        self.tls._front.set_tmp_ecdh(crypto.get_elliptic_curve("prime256v1"))
        self.assertEqual(self.healthy(), [("failed", "key exchange is not post-quantum")])
        self.net.pass_by(3)
        self.assertEqual((self.registry.members, self.relay.counters()["lines"]), ([], 0))

    def test_certificates(self) -> None:
        """Invitations, revoked clients and servers, and foreigners do not register; each is counted once."""
        revoked = self.ca.identity("laptop", CLIENT)
        server = self.ca.identity("gateway", SERVER)
        self.revoked |= {serial_of(revoked), serial_of(server)}
        for identity, reason in (
            (revoked, "certificate revoked"),
            (server, "certificate revoked"),
            (self.ca.identity("laptop", INVITE), "certificate of a wrong usage"),
            (self.ca.identity("laptop", CLIENT, days=(-2, -1)), "certificate expired"),
            (FakeCa().identity("laptop", CLIENT, trust=self.ca.pem), "certificate with a wrong signature"),
        ):
            before = sum(self.relay.admission.complaints.counts.values())
            raw = self.raw(identity)
            if raw.open:
                self.assertEqual(raw.messages(), [TurnedAway(reason)])
            self.net.pass_by(3)
            self.assert_dropped(raw)
            self.assertEqual(sum(self.relay.admission.complaints.counts.values()) - before, 1, reason)
            self.assertEqual(self.relay.counters()["lines_refused"], before + 1)
        self.assertEqual(self.relay.admission.complaints.counts["certificate revoked"], 2)

    def test_turned_away_and_deaf(self) -> None:
        """Who is turned away and registers all the same is not heard, and is cut off if it does not go."""
        self.patch(self, "make_raw", Eager)
        raw = self.raw(self.ca.identity("laptop", INVITE))
        self.assertEqual((self.registry.members, raw.messages()), ([], [TurnedAway("certificate of a wrong usage")]))
        self.net.pumps.clear()
        self.raw(self.ca.identity("phone", INVITE))
        pump = self.net.pumps.pop()
        self.net.pass_by(3, 0.1)
        self.assertTrue(pump.serverIO.disconnecting)


class NodeTests(PortTestCase):
    """Those whose certificate is good."""

    def test_registered(self) -> None:
        """A node that registers is told where it comes from; a second one hears of it."""
        raw = self.registered()
        ((answer),) = raw.messages()
        assert isinstance(answer, Registered)
        self.assertEqual(answer.observed, ("line 198.51.100.7 40000",))
        self.assertEqual(self.healthy(), [("registered",), ("present", "laptop")])
        self.assertEqual(self.relay.counters()["lines"], 2)

    def test_says_nothing(self) -> None:
        """Who does not register within 10 s is dropped, pings or not."""
        raw = self.raw()
        for _ in range(10):
            raw.sendPing(b"ping")
            self.net.pass_by(1)
        self.net.pass_by(1)
        self.assert_dropped(raw)

    def test_out_of_place(self) -> None:
        """Nonsense, what a node has not to say, and an envelope before it registers: dropped."""
        said: list[RelayMessage] = [Registered(1, ()), TurnedAway("no"), Present(1, "phone", "0" * 16), Drain(1.0),
                                    Watch(("phone",))]  # fmt: skip
        for text in (b"", b"{}", b"[" * 1000, "{\u00e4}".encode(), *map(encode, said)):
            raw = self.raw()
            raw.say(text)
            self.assert_dropped(raw)
        for binary in (b"", b"\0\0\0\1", address(1, DATAGRAMS, b"sealed")):
            raw = self.raw()
            raw.say(binary, binary=True)
            self.assert_dropped(raw)

    def test_not_utf8(self) -> None:
        """A text that is none is dropped."""
        raw = self.raw()
        raw.sendFrame(opcode=1, payload=b"\xff\xfe")
        self.net.pass_by(3)
        self.assert_dropped(raw)

    def test_second_register(self) -> None:
        """Who registers twice is dropped, also when both come at once."""
        raw = self.registered()
        raw.say(REGISTER)
        self.assert_dropped(raw)
        raw = self.raw()
        raw.say(REGISTER)
        raw.say(REGISTER)
        self.assert_dropped(raw)

    def test_empty_envelope(self) -> None:
        """A registered node that sends an envelope with nothing in it is dropped."""
        raw = self.registered()
        raw.say(b"\0\0\0\1", binary=True)
        self.assert_dropped(raw)

    def test_too_large(self) -> None:
        """A message over the limit ends the line before it is there, in one frame or in many."""
        raw = self.registered()
        raw.say(bytes(MOST_ENVELOPE + 1), binary=True)
        self.net.pass_by(3)
        self.assert_dropped(raw)
        raw = self.registered()
        raw.beginMessage(True)
        for _ in range(3):
            raw.sendMessageFrame(bytes(30000))
        self.net.pass_by(3)
        self.assert_dropped(raw)
        raw = self.registered()
        raw.say(address(1, DATAGRAMS, bytes(MOST_ENVELOPE - 5)), binary=True)
        self.net.settle()
        self.assertFalse(raw.gone)

    def test_wrong_name(self) -> None:
        """A name that is not the certificate's is refused, and said so."""
        raw = self.raw()
        raw.say(encode(Register("phone", "0" * 16)))
        self.net.settle()
        self.assertEqual(raw.messages(), [TurnedAway("name is not the certificate's", COME_AGAIN)])
        self.net.pass_by(3)
        self.assert_dropped(raw, "name is not the certificate's")

    def test_name_taken(self) -> None:
        """A name that another process has is refused while that one lives, and free soon after it went dumb."""
        first = self.registered()
        other = encode(Register("laptop", "1" * 16))
        raw = self.raw()
        raw.say(other)
        self.net.pass_by(3)
        self.assertEqual((raw.gone, first.gone), (True, False))
        cut = self.net.pumps.pop(0)  # the first is cut off from the network
        self.raw().say(other)
        self.net.pass_by(COME_AGAIN)
        self.assertTrue(cut.serverIO.disconnecting)
        cut.flush()  # of which the relay hears so much
        raw = self.raw()
        raw.say(other)
        self.net.settle()
        self.assertIsInstance(raw.messages()[0], Registered)

    def test_does_not_read(self) -> None:
        """For a node that does not read envelopes are dropped; at last it is hung up on, and others do not notice."""
        raw, (phone, listener) = self.registered(), self.node("phone")
        self.assertTrue(listener.heard)
        server = self.net.pumps[0].serverIO
        raw.say(encode(Watch(("phone",))))
        self.net.settle()
        server.producer.pauseProducing()  # what TCP does when the peer's window is closed
        for _ in range(100):
            phone.post("laptop", DATAGRAMS, bytes(10_000))
            self.net.pumps[1].flush()
        (laptop, _) = sorted(self.registry.members, key=lambda guest: guest.name)
        self.assertLessEqual(laptop.received, BACKLOG + 20_000)
        self.assertGreater(self.registry.counts["dropped_full"], 50)
        self.assertFalse(server.disconnecting)
        for _ in range(MOST_BACKLOG // 500 + 100):
            laptop.line.tell(Drain(1.0, "x" * 500))
        self.net.settle()
        self.assertTrue(raw.gone)
        self.assertEqual(listener.heard[-1], ("absent", "laptop"))
        self.assertFalse(phone.peers)
        self.assertIsNotNone(phone.answer)

    def test_reads_again(self) -> None:
        """A node that was slow for a while is forgiven."""
        self.registered()
        (guest,) = self.registry.members
        server = self.net.pumps[0].serverIO
        for _ in range(5):
            server.producer.pauseProducing()
            while guest.line.hand(bytes(10_000)):
                pass
            server.producer.resumeProducing()
            self.net.settle()
        self.assertFalse(server.disconnecting)

    def test_dumb(self) -> None:
        """A node that has gone without a word is dropped when it misses a sign of life."""
        self.registered()
        pump = self.net.pumps.pop()
        for _ in range(BEAT + SILENCE + 1):
            self.net.advance(1)
        self.assertTrue(pump.serverIO.disconnecting or pump.serverIO.disconnected)
        pump.flush()
        self.assertEqual(self.registry.members, [])

    def test_hangs_up(self) -> None:
        """A node that says goodbye is gone at once; an envelope to it meanwhile harms nobody."""
        raw, (phone, listener) = self.registered(), self.node("phone")
        raw.say(encode(Watch(("phone",))))
        self.net.settle()
        laptop = next(guest for guest in self.registry.members if guest.name == "laptop")
        raw.sendClose(1000)
        self.net.pumps[0].pump()  # the relay has heard it, and not yet closed
        self.net.pumps[0].pump()
        for _ in range(3):
            laptop.line.hand(b"sealed")
            laptop.line.tell(Drain(1.0))
            laptop.line.prove(1.0)
            phone.post("laptop", DATAGRAMS, b"sealed")
            self.net.pumps[1].flush()
        self.net.pass_by(3)
        self.assertEqual([guest.name for guest in self.registry.members], ["phone"])
        self.assertEqual(listener.heard[-1], ("absent", "laptop"))

    def test_closing(self) -> None:
        """A relay that stops says goodbye to all, lets nobody in, and is done soon, whoever does not answer."""
        raw, stranger = self.registered(), self.stranger()
        self.raw(self.ca.identity("phone", CLIENT))
        self.net.pumps.pop()  # this one is deaf
        stopped = self.relay.close()
        self.assertFalse(self.knock(cast(IProtocol, Stranger())))
        self.net.pass_by(3)
        self.assertEqual((raw.gone, stranger.gone), (True, True))
        for pump in self.net.pumps:
            pump.flush()
        self.assertLessEqual(self.relay.counters()["lines"], 1)
        self.assertIsNotNone(stopped)

    def test_echo_terms(self) -> None:
        """What the relay grants, a node is told."""
        self.serve(terms=Terms(echo_port=3478, second_port=3479))
        answer = self.registered().messages()[0]
        assert isinstance(answer, Registered)
        self.assertEqual((answer.echo_port, answer.second_port, len(answer.echo_key)), (3478, 3479, 64))
        self.assertEqual(self.net.servers[SERVER_HOST], self.relay.factory)
