"""Messages of our protocols, as they come out of a stream or an envelope."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from morphnet.errors import ConfigError, MalformedFrame
from morphnet.ops.request import parse_request
from morphnet.wire import candidates
from morphnet.wire.messages import cluster, control, peer, relay
from morphnet.wire.messages.advice import Advice
from morphnet.wire.messages.terms import PathTerms
from morphnet.wire.messages.trying import Tried, TryPort
from tests.fuzz.target import Reads, Target, of_text
from tests.ops.fakes import FakeNode

_GREETING = peer.Greeting("anna", "00" * 8, ("compact",), ("local 192.0.2.1 7",), 1400)
_SIGNALS: tuple[control.Signal, ...] = (
    control.Hello("laptop", "", 0, scheduler="bond", compression=("zstd",), framings=("compact", "seed")),
    control.Ping(7),
    control.Ids(("00" * 20,)),
    control.Refusal("full", 3.0),
    control.Drain(3.0, "restart"),
    control.Goodbye("enough"),
    control.Scheduler("redundant"),
    Advice(("10.73.0.1",), True, ("corp.example",), ("relay.example",)),
    TryPort(4000, "00" * 16),
    Tried("00" * 16, True),
    PathTerms(("0 10 0 0", "1 210 1 1000000")),
)
_RELAYED: tuple[relay.RelayMessage, ...] = (
    relay.Register("anna", "01" * 8, ("bert", "*")),
    relay.Present(7, "bert", "02" * 8, ("local 192.0.2.1 7",)),
    relay.Absent(7, "bert"),
    relay.News((relay.Absent(7, "bert"),), (relay.Present(8, "bert", "02" * 8),)),
    relay.Watch(("carl",)),
    relay.Undelivered(7, True),
)


def _stream(reader: Callable[[], Callable[[bytes], Sequence[object]]]) -> Reads:
    """Fed in two pieces, cut where the first byte says."""

    def read(data: bytes) -> object:
        feed, cut = reader(), data[0] if data else 0
        return [*feed(data[1 : 1 + cut]), *feed(data[1 + cut :])]

    return read


def _read_envelope(data: bytes) -> object:
    number, content = relay.opened(relay.readdress(data, relay.number_of(data)))
    return number, relay.unbundle(content) if number else None


def _read_parcel(data: bytes) -> object:
    return cluster.unpack(data) if cluster.is_parcel(data) else cluster.decode(data)


MESSAGES = (
    Target(
        "signals",
        _stream(lambda: control.SignalReader().feed),
        (MalformedFrame,),
        tuple(b"\x05" + control.encode(each) for each in _SIGNALS),
        (
            "wire.messages.control.decode",
            "wire.messages.control.SignalReader.feed",
            "wire.messages.codec.Catalogue.decode",
        ),
    ),
    Target(
        "introductions",
        _stream(lambda: peer.IntroductionReader().feed),
        (MalformedFrame,),
        tuple(b"\x05" + peer.encode(each) for each in (_GREETING, peer.NotNow("busy"))),
        ("wire.messages.peer.IntroductionReader.feed",),
    ),
    Target(
        "relaying", relay.decode, (MalformedFrame,), tuple(map(relay.encode, _RELAYED)), ("wire.messages.relay.decode",)
    ),
    Target(
        "envelopes",
        _read_envelope,
        (MalformedFrame,),
        (relay.address(7, relay.DATAGRAMS, relay.bundle(bytes(80), 40)),),
        (
            "wire.messages.relay.readdress",
            "wire.messages.relay.number_of",
            "wire.messages.relay.opened",
            "wire.messages.relay.unbundle",
        ),
    ),
    Target(
        "cluster",
        _read_parcel,
        (MalformedFrame,),
        (
            cluster.encode(cluster.Beat(7, "00" * 8)),
            cluster.parcel(9, relay.address(7, relay.DATAGRAMS, b"x")),
        ),
        ("wire.messages.cluster.decode", "wire.messages.cluster.unpack"),
    ),
    Target(
        "candidates",
        of_text(candidates.read_candidate),
        (MalformedFrame,),
        (b"observed 198.51.100.1 7", b"local 2001:db8::1 65535"),
        ("wire.candidates.read_candidate",),
    ),
    Target(
        "requests",
        lambda line: parse_request(line, "client", FakeNode().verbs()),
        (ConfigError,),
        (b'{"ask": "status"}', b'{"ask": "happenings", "after": 3, "follow": true}'),
        (),
    ),
)
