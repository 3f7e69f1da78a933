"""The messages of the control link."""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
import json
import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError, MalformedFrame
from morphnet.wire.messages import control
from morphnet.wire.messages.codec import phrase
from morphnet.wire.messages.control import (
    AT_ONCE,
    LIMIT,
    Drain,
    Goodbye,
    Hello,
    Ids,
    Join,
    Joined,
    Ping,
    Pong,
    Refusal,
    Renew,
    Renewed,
    Revoked,
    Scheduler,
    Signal,
    SignalReader,
    Welcome,
    decode,
    encode,
)
from morphnet.wire.messages.networks import Advertise, Networks
from morphnet.wire.messages.revocations import PartsWanted, Revocations, RevokedPart

WELCOME = Welcome(
    session="0f" * 16,
    inner4="10.73.0.2/24",
    inner6="fd73::2/64",
    gateway4="10.73.0.1",
    gateway6="fd73::1",
    mtu=1400,
    dns=("9.9.9.9", "2620:fe::fe"),
    data_port=8000,
    epoch=3,
    ids=("ab" * 20, "cd" * 20),
    scheduler="bond",
    compression="off",
    rekey_seconds=120.0,
    rekey_packets=1 << 22,
    heartbeat_s=5.0,
    reorder_ms=50.0,
)
HELLO = Hello(name="laptop", session="", epoch=0, scheduler="bond", compression=("zstd", "gzip"))


def _of_a_machine(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    special = address.is_loopback, address.is_unspecified, address.is_multicast, address.is_link_local
    return not any(special)


_calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
_scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50)
_phrase = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
_nonce = st.integers(0, (1 << 32) - 1)
_ids = st.lists(st.binary(min_size=20, max_size=20).map(bytes.hex), max_size=4).map(tuple)
_word = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)
_pem = st.text("AZaz09+/=\n- ", min_size=1, max_size=100)
_seconds = st.floats(0, 86400)
_prefix = st.builds(
    lambda address, off: str(ipaddress.ip_network(f"{address}/{address.max_prefixlen - off}", strict=False)),
    st.ip_addresses(),
    st.integers(0, 32),
)
_prefixes = st.lists(_prefix, max_size=4).map(tuple)
ANY: st.SearchStrategy[Signal] = st.one_of(
    st.builds(
        Hello,
        name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", fullmatch=True),
        session=st.one_of(st.just(""), st.binary(min_size=16, max_size=16).map(bytes.hex)),
        epoch=st.integers(0, (1 << 23) - 1),
        scheduler=_word,
        compression=st.lists(_word, max_size=4).map(tuple),
        advertise=_prefixes,
        networks=st.booleans(),
    ),
    st.builds(
        lambda mtu, epoch, ids, v4, v6: dataclasses.replace(
            WELCOME, mtu=mtu, epoch=epoch, ids=ids, inner4=f"{v4}/24", inner6=f"{v6}/64", dns=(str(v4), str(v6))
        ),
        st.integers(576, 65535),
        st.integers(0, (1 << 23) - 1),
        _ids,
        st.ip_addresses(v=4).filter(_of_a_machine),
        st.ip_addresses(v=6).filter(_of_a_machine),
    ),
    st.builds(Refusal, _phrase, st.none() | _seconds),
    st.builds(Ping, _nonce),
    st.builds(Pong, _nonce),
    st.builds(Ids, _ids),
    st.builds(Drain, _seconds, _phrase),
    st.builds(Goodbye, _phrase),
    st.builds(Revoked, _phrase),
    st.builds(Scheduler, _word),
    st.builds(Join, _pem),
    st.builds(Joined, _pem, _pem),
    st.builds(Renew, _pem),
    st.builds(Renewed, _pem),
    st.builds(Revocations, _pem),
    st.builds(PartsWanted, st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), max_size=3).map(tuple)),
    st.builds(RevokedPart, st.text("09af \n", min_size=1, max_size=100)),
    st.builds(Advertise, _prefixes),
    st.builds(Networks, _prefixes, st.lists(_phrase, max_size=3).map(tuple), _prefixes, st.booleans()),
)


def framed(body: bytes) -> bytes:
    """`body` with its length in front."""
    return struct.pack("!I", len(body)) + body


def drained(reader: SignalReader, data: bytes) -> tuple[list[Signal], bool]:
    """What `data` brings, and whether the stream broke."""
    found: list[Signal] = []
    try:
        while more := reader.feed(data):
            found += more
            data = b""
    except MalformedFrame:
        return found, True
    return found, False


class CodecTests(SynchronousTestCase):
    """One message."""

    @given(ANY)
    @_calm
    def test_round_trip(self, signal: Signal) -> None:
        """What is written is what is read."""
        self.assertEqual(SignalReader().feed(encode(signal)), [signal])

    @given(st.binary(max_size=200))
    @_calm
    def test_arbitrary_bytes(self, data: bytes) -> None:
        """Arbitrary bytes are malformed, never anything else."""
        self.assertRaises(MalformedFrame, decode, data)

    @given(
        st.dictionaries(
            st.sampled_from([each.name for one in control._MESSAGES.classes for each in dataclasses.fields(one)]),
            _scalar | st.lists(_scalar, max_size=3) | st.dictionaries(st.text(max_size=5), _scalar, max_size=2),
        ),
        st.sampled_from([one.type for one in control._MESSAGES.classes]),
    )
    @_calm
    def test_arbitrary_fields(self, values: dict[str, object], kind: str) -> None:
        """Wrong types and ranges are malformed; what passes can be written again."""
        body = json.dumps({**values, "type": kind}).encode()
        try:
            signal = decode(body)
        except MalformedFrame:
            return
        self.assertEqual(decode(encode(signal)[4:]), signal)

    def test_unknown_keys(self) -> None:
        """A key that we do not know is ignored."""
        self.assertEqual(decode(b'{"type":"ping","nonce":7,"colour":{"a":[1]}}'), Ping(7))

    def test_defaults(self) -> None:
        """A field with a default may be missing."""
        self.assertEqual(decode(b'{"type":"refusal","reason":"full"}'), Refusal("full", None))
        self.assertEqual(decode(b'{"type":"hello","name":"old"}'), Hello("old", framings=("seed",)))
        old = json.loads(encode(WELCOME)[4:])
        del old["framing"]
        self.assertEqual(decode(json.dumps(old).encode()), dataclasses.replace(WELCOME, framing="seed"))

    def test_refused(self) -> None:
        """Each of these is malformed."""
        for body in (
            b"",
            b"null",
            b"[]",
            b"{}",
            b'{"type":"dance"}',
            b'{"type":["ping"],"nonce":1}',
            b'{"type":"ping"}',
            b'{"type":"ping","nonce":true}',
            b'{"type":"ping","nonce":1.0}',
            b'{"type":"ping","nonce":-1}',
            b'{"type":"ping","nonce":4294967296}',
            b'{"type":"ping","nonce":' + b"9" * 5000 + b"}",
            b'{"type":"drain","seconds":NaN}',
            b'{"type":"drain","seconds":1e999}',
            b'{"type":"goodbye","reason":"a\\nb"}',
            b'{"type":"goodbye","reason":"\\ud800"}',
            b'{"type":"goodbye","reason":"\xff"}',
            b'{"type":"ids","ids":"' + b"ab" * 20 + b'"}',
            b'{"type":"ids","ids":["AB"]}',
            b'{"type":"ids","ids":[' + b",".join([b'"' + b"ab" * 20 + b'"'] * 65) + b"]}",
            b'{"type":"hello","name":"../x"}',
            b'{"type":"hello","name":"x\\n"}',
        ):
            self.assertRaises(MalformedFrame, decode, body)

    def test_addresses(self) -> None:
        """Addresses in a Welcome must be addresses of their family."""
        plain = json.loads(encode(WELCOME)[4:])
        for name, value in (
            ("inner4", "10.73.0.2"),
            *(("inner4", f"{each}/24") for each in ("127.0.0.1", "0.0.0.0", "224.0.0.1", "169.254.0.1")),
            *(("inner6", f"{each}/64") for each in ("::1", "::", "ff02::1", "fe80::1")),
            ("inner4", "fd73::2/64"),
            ("inner6", "10.73.0.2/24"),
            ("inner6", "fe80::1%eth0/64"),
            ("gateway4", "10.73.0.256"),
            ("dns", ["example.org"]),
            ("dns", [""]),
            ("mtu", 100),
            ("rekey_packets", (1 << 23) + 1),
        ):
            self.assertRaises(MalformedFrame, decode, json.dumps({**plain, name: value}).encode())
        none = dataclasses.replace(WELCOME, inner6="", gateway6="")
        self.assertEqual(decode(encode(none)[4:]), none)

    def test_bomb_of_brackets(self) -> None:
        """Deep nesting is malformed, not a RecursionError."""
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            depth = 10000
            self.assertRaises(MalformedFrame, decode, opening * depth + b"1" + closing * depth)
            body = b'{"type":"ping","nonce":1,"x":' + opening * depth + b"1" + closing * depth + b"}"
            self.assertRaises(MalformedFrame, decode, body)

    def test_own_mistake(self) -> None:
        """Writing what could not be read is our bug."""
        self.assertRaises(BugError, encode, Ping(-1))
        self.assertRaises(BugError, encode, Joined("A" * 40000, "A"))

    def test_phrase(self) -> None:
        """Any text can be made fit to travel as a reason."""
        self.assertEqual(phrase("déjà\nvu"), "d?j??vu")
        self.assertEqual(len(phrase("x" * 1000)), 500)


class ReaderTests(SynchronousTestCase):
    """A stream of messages."""

    @given(st.lists(ANY, max_size=3), st.binary(max_size=20), st.lists(st.integers(0, 2000), max_size=6))
    @_calm
    def test_split_anywhere(self, sent: list[Signal], junk: bytes, cuts: list[int]) -> None:
        """However the bytes are cut, the same comes out, junk behind included."""
        data = b"".join(encode(one) for one in sent) + junk
        whole = drained(SignalReader(), data)
        self.assertEqual(whole[0], sent)
        reader, found, broken = SignalReader(), [], False
        edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        for start, end in itertools.pairwise(edges):
            more, broken = drained(reader, data[start:end])
            found += more
            if broken:
                break
        self.assertEqual((found, broken), whole)

    def test_too_long_at_once(self) -> None:
        """A length over the limit is refused before a byte of the message has come."""
        self.assertRaises(MalformedFrame, SignalReader().feed, struct.pack("!I", LIMIT + 1))
        self.assertEqual(SignalReader().feed(struct.pack("!I", LIMIT)), [])

    def test_very_many(self) -> None:
        """Of very many messages some are read at a time; asked for nothing more, the reader goes on."""
        reader, many = SignalReader(), [Ping(number) for number in range(3 * AT_ONCE + 1)]
        parts = [reader.feed(b"".join(map(encode, many)))]
        while parts[-1]:
            parts.append(reader.feed(b""))
        self.assertEqual([len(part) for part in parts], [AT_ONCE] * 3 + [1, 0])
        self.assertEqual([each for part in parts for each in part], many)

    def test_broken_for_ever(self) -> None:
        """After a bad message nothing is read any more."""
        reader = SignalReader()
        self.assertEqual(reader.feed(encode(Ping(1)) + framed(b"{}") + encode(Ping(2))), [Ping(1)])
        self.assertRaises(MalformedFrame, reader.feed, b"")
        self.assertRaises(MalformedFrame, reader.feed, encode(Ping(3)))
