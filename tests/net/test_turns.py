"""What one WebSocket may have of a turn, and what those get that cost time and no bandwidth."""

from __future__ import annotations

import re
import struct
from base64 import b64encode
from hashlib import sha1
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from txaio.tx import config as autobahn_config

from morphnet.net.turns import LEAST, MOST_HEADER, MOST_WAITING, TURN
from morphnet.net.websocket import BACKLOG, GOODBYE, SUBPROTOCOL, client_factory, server_factory
from morphnet.rendezvous.relay.registry import COME_AGAIN, Terms
from morphnet.roles.relay.lines import COMINGS_AT_ONCE, REGISTER_WITH
from morphnet.wire.messages.relay import DATAGRAMS, EVERYBODY, Register, Registered, TurnedAway, Watch, encode
from tests.fakes_relay import Raw, RelayTestCase
from tests.net.fakes import FakeOwner

BINARY, CLOSE, PING = 2, 8, 9
HELLO = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: " + SUBPROTOCOL.encode() + b"\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
    b"Sec-WebSocket-Protocol: %s\r\n\r\n"
)
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3


def frame(kind: int, payload: bytes, *, last: bool = True) -> bytes:
    """One of a client, as it is on the wire."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else bytes((0x80 | 126,)) + struct.pack("!H", size)
    return bytes(((0x80 if last else 0) | kind,)) + length + bytes(4) + payload


class Wire(StringTransport):
    """A transport that notes what it is asked."""

    reading, aborted = True, False

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def abortConnection(self) -> None:
        self.aborted = True


class TurnTests(SynchronousTestCase):
    def setUp(self) -> None:
        """One end, without TLS, that has agreed with the other."""
        self.clock, self.owner, self.wire = Clock(), FakeOwner(), Wire()
        self.patch(autobahn_config, "loop", self.clock)
        self.socket = cast(Any, server_factory(cast(Any, self.owner), self.clock)).buildProtocol(None)
        self.socket.makeConnection(self.wire)

    def open(self) -> None:
        """HTTP is over."""
        self.socket.dataReceived(HELLO)
        self.wire.clear()

    def test_small_frames(self) -> None:
        """However many have come at once, a few are worked off in a turn, and in the end all, in their order."""
        self.open()
        frames = [struct.pack("!I", turn) for turn in range(5000)]
        self.socket.dataReceived(b"".join(frame(BINARY, each) for each in frames))
        self.assertLessEqual(len(self.owner.came), TURN // 2)
        before = len(self.owner.came)
        self.clock.callLater(0.0, self.owner.came.append, b"another one's turn")
        self.clock.advance(0)
        self.assertLessEqual(self.owner.came.index(b"another one's turn"), before + TURN // 2)
        self.owner.came.remove(b"another one's turn")
        self.assertEqual(self.owner.came, frames)
        self.assertGreaterEqual(sum(self.owner.costs), LEAST * len(frames))

    def test_pieces(self) -> None:
        """Messages in pieces of a byte, and bytes that come one by one, are charged each."""
        self.open()
        for piece in (b"a", b"b"):
            self.socket.dataReceived(frame(BINARY if piece == b"a" else 0, piece, last=False))
        self.socket.dataReceived(frame(0, b"c"))
        self.assertEqual(self.owner.came, [b"abc"])
        self.assertGreaterEqual(sum(self.owner.costs), 3 * LEAST)

    def test_many_pieces(self) -> None:
        """Pieces of a message count as messages do: a few in a turn, though nothing comes of them."""
        self.open()
        self.socket.dataReceived(frame(BINARY, b"", last=False) + frame(0, b"", last=False) * 5000 + frame(0, b"x"))
        self.assertEqual(self.owner.came, [])
        self.assertLessEqual(self.owner.costs[-1], 2 * LEAST * TURN)
        self.clock.advance(0)
        self.assertEqual((self.owner.came, max(self.owner.costs) <= 2 * LEAST * TURN), ([b"x"], True))

    def test_many_pieces_wait(self) -> None:
        """What comes in many small pieces while it waits is one piece then."""
        self.open()
        self.socket.pause_reading(1.0)
        for turn in range(1000):
            for part in frame(BINARY, b"%d" % turn):
                self.socket.dataReceived(bytes((part,)))
        self.clock.advance(1.0)
        self.assertEqual(self.owner.came, [b"%d" % turn for turn in range(1000)])

    def test_goodbye(self) -> None:
        """Who says goodbye and stays is hung up on, soon, and nothing of what he says then is kept."""
        self.open()
        self.socket.dataReceived(frame(CLOSE, b"\x03\xe8"))
        for _ in range(100):
            self.socket.dataReceived(frame(BINARY, bytes(1000)))
        self.assertEqual((self.owner.came, self.socket.data, self.wire.aborted), ([], b"", False))
        self.clock.advance(GOODBYE)
        self.assertTrue(self.wire.aborted)
        self.socket.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refused(self) -> None:
        """So is a stranger who does not take the answer to his HTTP, and goes on."""
        self.socket.dataReceived(HELLO.replace(SUBPROTOCOL.encode(), b"other"))
        for _ in range(100):
            self.socket.dataReceived(bytes(1000))
        self.assertLess(len(self.socket.data), MOST_HEADER)
        self.assertEqual((self.wire.disconnecting, self.wire.aborted), (True, False))
        self.clock.advance(GOODBYE)
        self.assertTrue(self.wire.aborted)

    def test_goodbye_of_a_server(self) -> None:
        """A server that says goodbye, talks on, and does not hang up, is hung up on."""
        factory = cast(Any, client_factory(cast(Any, self.owner), "ws://192.0.2.1:1/", self.clock))
        calling, wire = factory.buildProtocol(None), Wire()
        calling.makeConnection(wire)
        (key,) = re.findall(rb"Sec-WebSocket-Key: (.*)\r\n", wire.value())
        accept = b64encode(sha1(key + GUID).digest())
        calling.dataReceived(ANSWER % (accept, SUBPROTOCOL.encode()) + b"\x82\x01a" + b"\x88\x02\x03\xe8")
        for _ in range(GOODBYE):
            calling.dataReceived(b"\x82\x01b")
            self.assertFalse(wire.aborted)
            self.clock.advance(1)
        self.assertEqual((wire.aborted, self.owner.came[0]), (True, b"a"))

    def test_large_messages(self) -> None:
        """A message costs what it has."""
        self.open()
        self.socket.dataReceived(frame(BINARY, bytes(60_000)))
        self.assertEqual((self.owner.came, sum(self.owner.costs)), ([bytes(60_000)], 60_008))

    def test_much_waits(self) -> None:
        """What waits for its turn is bounded: the transport reads no more, until it is worked off."""
        self.open()
        self.socket.pause_reading(1.0)
        self.wire.reading = True  # as a transport that had read already
        for _ in range(3):
            self.socket.dataReceived(frame(BINARY, bytes(MOST_WAITING // 2)))
        self.assertEqual(self.owner.came, [])
        self.clock.advance(1.0)
        self.assertEqual((len(self.owner.came), self.wire.reading), (3, True))
        self.socket.dataReceived(frame(BINARY, b"x") * 100)
        for _ in range(3):
            self.socket.dataReceived(frame(BINARY, bytes(MOST_WAITING // 2)))
        self.assertFalse(self.wire.reading)
        self.clock.advance(0)
        self.assertEqual((len(self.owner.came), self.wire.reading), (106, True))

    def test_header_without_end(self) -> None:
        """HTTP that does not end is hung up on at 16 KiB."""
        for _ in range(MOST_HEADER // 1024):
            self.socket.dataReceived(b"x-a: " + b"b" * 1017 + b"\r\n")
            self.assertFalse(self.wire.aborted)
        self.socket.dataReceived(b"c")
        self.assertTrue(self.wire.aborted)

    def test_pongs_that_nobody_reads(self) -> None:
        """Whoever pings and does not read has no more kept for him than one answer: to his last ping."""
        self.open()
        self.socket.pauseProducing()
        for turn in range(1000):
            self.socket.dataReceived(frame(PING, b"%d" % turn))
            self.clock.advance(0)
        self.assertEqual(self.wire.value(), b"")
        self.socket.resumeProducing()
        self.assertEqual(self.wire.value(), b"\x8a\x03999")

    def test_gone(self) -> None:
        """Nothing is left of one that goes while much of it waits."""
        self.open()
        self.socket.dataReceived(frame(BINARY, b"x") * 100)
        self.socket.pause_reading(1.0)
        self.socket.connectionLost()
        self.clock.advance(2.0)
        self.assertLessEqual(len(self.owner.came), TURN // 2)


class ChargeTests(RelayTestCase):
    """A relay with members of all kinds."""

    def member(self) -> Raw:
        """One that has registered."""
        raw = self.raw()
        raw.say(encode(Register("laptop", "0" * 16)))
        self.net.settle()
        return raw

    def test_all_is_charged(self) -> None:
        """Envelopes to nobody, pings and pieces of messages: whoever sends many of them is not read for a while."""
        for kind, payload in ((BINARY, b"\0\0\0\1x"), (PING, b"p"), (10, b"p")):
            self.serve(terms=Terms(node_rate=1e6))
            raw = self.member()
            for _ in range(300):
                raw.sendFrame(opcode=kind, payload=payload)
            self.net.settle()
            self.assertGreater(self.registry.counts["paused"], 0, kind)
            raw.sendClose(1000)
            self.net.pass_by(3.0)

    def test_before_it_registers(self) -> None:
        """Who keeps the relay busy and does not register is hung up on."""
        raw = self.raw()
        for _ in range(REGISTER_WITH // LEAST):
            raw.sendPing(b"p")
        self.net.settle()
        self.assertTrue(raw.gone)

    def test_comes_and_goes(self) -> None:
        """A name that registers again and again is told to come later, and may when time has passed."""
        for turn in range(COMINGS_AT_ONCE):
            self.assertIsInstance(self.member().messages()[0], Registered, turn)
        self.assertEqual(self.member().messages(), [TurnedAway("it comes too often", COME_AGAIN)])
        self.net.pass_by(COME_AGAIN)
        self.assertIsInstance(self.member().messages()[0], Registered)

    def test_one_sender_takes_half(self) -> None:
        """What waits for a node that reads slowly is never of one sender alone: the others' envelopes have room."""
        raw, (phone, _), (tv, _) = self.member(), self.node("phone"), self.node("tv")
        raw.say(encode(Watch((EVERYBODY,))))
        self.net.settle()
        self.net.pumps[0].serverIO.producer.pauseProducing()
        laptop = next(guest for guest in self.registry.members if guest.name == "laptop")
        for _ in range(100):
            phone.post("laptop", DATAGRAMS, bytes(10_000))
            self.net.pumps[1].flush()
        self.assertLessEqual(laptop.received, BACKLOG // 2 + 20_000)
        before = laptop.received
        for _ in range(5):
            tv.post("laptop", DATAGRAMS, bytes(10_000))
            self.net.pumps[2].flush()
        self.assertGreater(laptop.received, before + 50_000)
