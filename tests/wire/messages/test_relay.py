"""What nodes and relays say: messages, envelopes, bundles."""

from __future__ import annotations

import dataclasses
import json
from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError, MalformedFrame
from morphnet.wire.batch import MAX_BATCH, MAX_SEGMENTS
from morphnet.wire.messages.relay import (
    CALL,
    DATAGRAMS,
    EVERYBODY,
    HANDSHAKE,
    LIMIT,
    MOST_ENVELOPE,
    MOST_WATCHED,
    Absent,
    Asked,
    Drain,
    Joined,
    Meet,
    News,
    Notice,
    Present,
    Reach,
    Register,
    Registered,
    RelayMessage,
    Renew,
    Renewed,
    TurnedAway,
    Undelivered,
    Watch,
    address,
    bundle,
    decode,
    encode,
    number_of,
    opened,
    readdress,
    unbundle,
)
from morphnet.wire.messages.revocations import PartsWanted, Revocations, RevokedPart

REGISTER = Register("laptop", "0123456789abcdef", ("phone", EVERYBODY))
REGISTERED = Registered(7, ("line 203.0.113.9 50000",), 3478, 3479, "01" * 8, "02" * 32, True)
ALL: dict[RelayMessage, bytes] = {
    REGISTER: b'{"type":"register","name":"laptop","instance":"0123456789abcdef","watch":["phone","*"],"version":1,'
    b'"revocations":-1,"notices":false,"passages":false,"news":false}',
    Notice("was one cloned?"): b'{"type":"notice","reason":"was one cloned?"}',
    REGISTERED: b'{"type":"registered","number":7,"observed":["line 203.0.113.9 50000"],"echo_port":3478,'
    b'"second_port":3479,"echo_id":"0101010101010101","echo_key":"' + b"02" * 32 + b'","renews":true,"revocations":-1}',
    TurnedAway("full", 3.0): b'{"type":"turned-away","reason":"full","retry_after":3.0}',
    Watch(("phone",)): b'{"type":"watch","names":["phone"]}',
    Present(8, "phone", "fedcba9876543210", ("observed 2001:db8::9 1",)): b'{"type":"present","number":8,'
    b'"name":"phone","instance":"fedcba9876543210","observed":["observed 2001:db8::9 1"]}',
    Absent(8, "phone"): b'{"type":"absent","number":8,"name":"phone"}',
    News((Absent(8, "phone"),), (Present(9, "phone", "fedcba9876543210"),)): b'{"type":"news","gone":[{"number":8,'
    b'"name":"phone"}],"here":[{"number":9,"name":"phone","instance":"fedcba9876543210","observed":[]}]}',
    Drain(5.0, "update"): b'{"type":"drain","seconds":5.0,"reason":"update"}',
    Revocations("PEM"): b'{"type":"revocations","crl":"PEM"}',
    Renew("CSR", "PEM"): b'{"type":"renew","csr":"CSR","certificate":"PEM"}',
    Renewed("PEM", "CA"): b'{"type":"renewed","certificate":"PEM","ca":"CA"}',
    PartsWanted(("ab" * 32,)): b'{"type":"revocations-wanted","parts":["' + b"ab" * 32 + b'"]}',
    RevokedPart("1f 1\n"): b'{"type":"revocations-part","text":"1f 1\\n"}',
    Undelivered(8, True): b'{"type":"undelivered","number":8,"gone":true}',
    Reach("2001:db8::1", "gw"): b'{"type":"reach","server":"2001:db8::1","name":"gw"}',
    Asked("ab" * 16): b'{"type":"asked","token":"' + b"ab" * 16 + b'"}',
    Meet("ab" * 16): b'{"type":"meet","token":"' + b"ab" * 16 + b'"}',
    Joined(): b'{"type":"joined"}',
}
_calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
_SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50) | st.lists(st.text(max_size=9))
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", fullmatch=True)
NUMBERS = st.integers(1, (1 << 32) - 1)
TOKENS = st.binary(min_size=8, max_size=8).map(bytes.hex)
PLACES = st.lists(
    st.builds("observed {} {}".format, st.ip_addresses(), st.integers(0, 65535)), max_size=32
).map(tuple)  # fmt: skip
PHRASES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
PEMS = st.text("AZaz09+/=\n- ", min_size=1, max_size=100)
ANY: st.SearchStrategy[RelayMessage] = st.one_of(
    st.builds(Register, NAMES, TOKENS, st.lists(NAMES | st.just(EVERYBODY), max_size=5).map(tuple)),
    st.builds(Registered, NUMBERS, PLACES, st.integers(0, 65535), st.integers(0, 65535), st.just("") | TOKENS),
    st.builds(TurnedAway, PHRASES, st.floats(0, 86400)),
    st.builds(Watch, st.lists(NAMES, max_size=5).map(tuple)),
    st.builds(Present, NUMBERS, NAMES, TOKENS, PLACES),
    st.builds(Absent, NUMBERS, NAMES),
    st.builds(Drain, st.floats(0, 86400), PHRASES),
    st.builds(Revocations, PEMS),
    st.builds(Renew, PEMS, PEMS),
    st.builds(Renewed, PEMS, st.just("") | PEMS),
    st.builds(PartsWanted, st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), max_size=3).map(tuple)),
    st.builds(RevokedPart, st.text("09af \n", min_size=1, max_size=100)),
    st.builds(Undelivered, NUMBERS, st.booleans()),
    st.builds(Reach, NAMES, NAMES | st.just("")),
    st.builds(Asked, st.binary(min_size=16, max_size=16).map(bytes.hex)),
    st.builds(Meet, st.binary(min_size=16, max_size=16).map(bytes.hex)),
    st.just(Joined()),
)


class MessageTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """One of each, frozen."""
        for message, text in ALL.items():
            self.assertEqual(encode(message), text)
            self.assertEqual(decode(text), message)

    @_calm
    @given(ANY)
    def test_round_trip(self, message: RelayMessage) -> None:
        """A message comes out as it went in."""
        self.assertEqual(decode(encode(message)), message)

    @_calm
    @given(st.sampled_from([each for each in ALL if dataclasses.fields(each)]), st.data())
    def test_wrong_values(self, message: RelayMessage, data: st.DataObject) -> None:
        """Any value in any field is taken or a MalformedFrame."""
        name = data.draw(st.sampled_from([each.name for each in dataclasses.fields(message)]))
        body = json.loads(encode(message)) | {name: data.draw(_SCALAR)}
        try:
            decode(json.dumps(body).encode())
        except MalformedFrame:
            pass

    @_calm
    @given(st.binary(max_size=200))
    def test_junk(self, junk: bytes) -> None:
        """Arbitrary bytes are a MalformedFrame."""
        self.assertRaises(MalformedFrame, decode, junk)

    def test_refused(self) -> None:
        """Names, tokens, numbers and lists that are out of bounds are malformed, and a bug when we say them."""
        for wrong in (
            dataclasses.replace(REGISTER, name="*"),
            dataclasses.replace(REGISTER, name="-laptop"),
            dataclasses.replace(REGISTER, instance="0123"),
            dataclasses.replace(REGISTER, watch=("lap top",)),
            dataclasses.replace(REGISTER, watch=("a",) * (MOST_WATCHED + 1)),
            dataclasses.replace(REGISTER, version=0),
            dataclasses.replace(REGISTERED, number=0),
            dataclasses.replace(REGISTERED, observed=("line 203.0.113.9 1",) * 33),
            dataclasses.replace(REGISTERED, observed=("line fe80::1%eth0 1",)),
            dataclasses.replace(REGISTERED, echo_key="02"),
            Absent(1 << 32, "phone"),
            Drain(float("inf")),
        ):
            self.assertRaises(BugError, encode, wrong)
            body = {"type": wrong.type} | {field: getattr(wrong, field) for field in wrong.__slots__}
            self.assertRaises(MalformedFrame, decode, json.dumps(body).encode())
        self.assertRaises(MalformedFrame, decode, encode(REGISTER).ljust(LIMIT + 1))

    def test_longest(self) -> None:
        """Whoever watches as many names as may be, of any length, still gets it into one message."""
        self.assertLessEqual(len(encode(Register("a" * 253, "0" * 16, ("b" * 250,) * 255))), LIMIT)


class EnvelopeTests(SynchronousTestCase):
    def test_vector(self) -> None:
        """An envelope is a number, a kind and what is in it."""
        self.assertEqual(address(0x01020304, HANDSHAKE, b"tls"), b"\1\2\3\4\1tls")
        self.assertEqual(readdress(b"\1\2\3\4\1tls", 5), b"\0\0\0\5\1tls")
        self.assertEqual(bundle(b"abcde", 2), b"\0\2abcde")

    @given(NUMBERS, NUMBERS, st.sampled_from((DATAGRAMS, HANDSHAKE, CALL)), st.binary(max_size=100))
    def test_round_trip(self, to: int, sender: int, kind: int, content: bytes) -> None:
        """What is in an envelope comes out at the other side of a relay, with the sender's number on it."""
        envelope = address(to, kind, content)
        self.assertEqual(number_of(envelope), to)
        envelope = readdress(envelope, sender)
        self.assertEqual(number_of(envelope), sender)
        kind_again, content_again = opened(envelope)
        self.assertEqual((kind_again, bytes(content_again)), (kind, content))

    @given(st.binary(max_size=40))
    def test_junk(self, junk: bytes) -> None:
        """Arbitrary bytes are an envelope, with a bundle or without, or a MalformedFrame."""
        try:
            number_of(junk)
            _, content = opened(junk)
            data, size = unbundle(content)
        except MalformedFrame:
            return
        self.assertTrue(size and data)

    def test_refused(self) -> None:
        """Nothing in it, or of an unknown kind: malformed."""
        for wrong in (b"", b"\0\0\0\1"):
            self.assertRaises(MalformedFrame, number_of, wrong)
        for kind in (3, 255):
            self.assertRaises(MalformedFrame, opened, address(1, kind, b"content"))

    @given(st.integers(1, 1500), st.integers(1, MAX_SEGMENTS), st.data())
    def test_bundles(self, size: int, count: int, data: st.DataObject) -> None:
        """Datagrams come out of a bundle as they went in, the last one shorter or not."""
        length = min(MAX_BATCH, size * count - data.draw(st.integers(0, size - 1)))
        content, size_again = unbundle(memoryview(bundle(bytes(length), size)))
        self.assertEqual((len(content), size_again), (length, size))

    def test_bundles_refused(self) -> None:
        """No datagram, datagrams without a byte, or more than one run has: malformed."""
        for wrong in (b"", b"\0", b"\0\2", b"\0\0abc", bundle(bytes(MAX_SEGMENTS + 1), 1), bundle(bytes(60000), 9)):
            self.assertRaises(MalformedFrame, unbundle, memoryview(wrong))

    def test_longest(self) -> None:
        """A whole run fits into one envelope, whatever its size."""
        for size, kind in product((1, 1440, 65507, 70000), (DATAGRAMS,)):
            self.assertLessEqual(len(address(1, kind, bundle(bytes(MAX_BATCH), size))), MOST_ENVELOPE)
