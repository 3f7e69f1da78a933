"""What peers say in TLS: messages, and the stream they come in."""

from __future__ import annotations

import dataclasses
import json
import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError, MalformedFrame
from morphnet.wire.messages.peer import (
    LIMIT,
    Established,
    Greeting,
    Introduction,
    IntroductionReader,
    NotNow,
    encode,
)

GREETING = Greeting("laptop", "0123456789abcdef", ("compact", "seed"), ("local 10.0.0.7 4500",), 1400)
ESTABLISHED = Established(
    name="phone",
    instance="fedcba9876543210",
    session="0f" * 16,
    ids=("ab" * 20, "cd" * 20),
    framing="compact",
    places=("observed 203.0.113.9 4500",),
    mtu=1400,
    heartbeat_s=5.0,
    rekey_seconds=120.0,
    rekey_packets=1 << 22,
)
ALL: dict[Introduction, bytes] = {
    GREETING: b'\0\xac{"type":"greeting","name":"laptop","instance":"0123456789abcdef","framings":["compact","seed"],'
    b'"places":["local 10.0.0.7 4500"],"mtu":1400,"version":1,"reorder_tcp_ms":0.0}',
    ESTABLISHED: b'\1\x69{"type":"established","name":"phone","instance":"fedcba9876543210",'
    b'"session":"' + b"0f" * 16 + b'","ids":["' + b"ab" * 20 + b'","' + b"cd" * 20 + b'"],"framing":"compact",'
    b'"places":["observed 203.0.113.9 4500"],"mtu":1400,"heartbeat_s":5.0,"rekey_seconds":120.0,'
    b'"rekey_packets":4194304,"reorder_tcp_ms":0.0}',
    NotNow("busy"): b'\0\x22{"type":"not-now","reason":"busy"}',
}
_calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
_SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50) | st.lists(st.text(max_size=9))
TOKENS = st.binary(min_size=8, max_size=8).map(bytes.hex)
PHRASES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
ANY: st.SearchStrategy[Introduction] = st.one_of(
    st.builds(
        lambda token, mtu: dataclasses.replace(GREETING, instance=token, mtu=mtu), TOKENS, st.integers(576, 65535)
    ),
    st.builds(
        lambda token, ids: dataclasses.replace(ESTABLISHED, instance=token, ids=ids),
        TOKENS,
        st.lists(st.binary(min_size=20, max_size=20).map(bytes.hex), max_size=16).map(tuple),
    ),
    PHRASES.map(NotNow),
)


def framed(body: bytes) -> bytes:
    """`body` as a message of the stream."""
    return struct.pack("!H", len(body)) + body


class IntroductionTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """One of each, frozen."""
        for message, data in ALL.items():
            self.assertEqual(encode(message), data)
            self.assertEqual(IntroductionReader().feed(data), [message])

    @_calm
    @given(st.lists(ANY, max_size=4), st.lists(st.integers(1, 50), min_size=1, max_size=9))
    def test_in_pieces(self, messages: list[Introduction], sizes: list[int]) -> None:
        """However the stream is cut, the messages come out, in order and once."""
        stream, reader, found, turn = b"".join(map(encode, messages)), IntroductionReader(), list[Introduction](), 0
        while stream:
            size = sizes[turn % len(sizes)]
            found += reader.feed(stream[:size])
            stream, turn = stream[size:], turn + 1
        self.assertEqual(found, messages)

    @_calm
    @given(st.binary(max_size=300))
    def test_junk(self, junk: bytes) -> None:
        """Arbitrary bytes are an unfinished message or a MalformedFrame."""
        for data in (junk, framed(junk)):
            try:
                self.assertEqual(IntroductionReader().feed(data), [])
            except MalformedFrame:
                pass

    @_calm
    @given(st.sampled_from(list(ALL)), st.data())
    def test_wrong_values(self, message: Introduction, data: st.DataObject) -> None:
        """Any value in any field is taken or a MalformedFrame."""
        name = data.draw(st.sampled_from([each.name for each in dataclasses.fields(message)]))
        body = json.loads(encode(message)[2:]) | {name: data.draw(_SCALAR)}
        try:
            IntroductionReader().feed(framed(json.dumps(body).encode()))
        except MalformedFrame:
            pass

    def test_too_long(self) -> None:
        """A length over the limit is malformed before the rest has come: a reader never holds more."""
        self.assertRaises(MalformedFrame, IntroductionReader().feed, struct.pack("!H", LIMIT + 1))
        self.assertEqual(IntroductionReader().feed(struct.pack("!H", LIMIT)), [])

    def test_refused(self) -> None:
        """Fields that are out of bounds are malformed, and a bug when we say them."""
        for wrong in (
            dataclasses.replace(GREETING, mtu=575),
            dataclasses.replace(GREETING, instance=""),
            dataclasses.replace(GREETING, places=("local 10.0.0.7 4500",) * 33),
            dataclasses.replace(ESTABLISHED, session="0f"),
            dataclasses.replace(ESTABLISHED, ids=("ab" * 20,) * 17),
            dataclasses.replace(ESTABLISHED, ids=("ab" * 19,)),
            dataclasses.replace(ESTABLISHED, rekey_packets=0),
            dataclasses.replace(ESTABLISHED, rekey_seconds=0.0),
            dataclasses.replace(ESTABLISHED, heartbeat_s=float("nan")),
        ):
            self.assertRaises(BugError, encode, wrong)
            body = {"type": wrong.type} | {field: getattr(wrong, field) for field in wrong.__slots__}
            self.assertRaises(MalformedFrame, IntroductionReader().feed, framed(json.dumps(body).encode()))

    def test_another_protocol(self) -> None:
        """What belongs to a relay has no place between peers."""
        self.assertRaises(MalformedFrame, IntroductionReader().feed, framed(b'{"type":"drain","seconds":1}'))
