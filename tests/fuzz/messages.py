"""Messages of our protocols, as they come out of a stream or an envelope."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from morphnet.errors import ConfigError, MalformedFrame
from morphnet.ops.request import parse_request
from morphnet.wire import (
    introductions,
    neighbouring,
    places,
    relaying,
    signals,
)
from tests.fuzz.target import Reads, Target, of_text
from tests.ops.fakes import FakeNode

_GREETING = introductions.Greeting("anna", "00" * 8, ("compact",), ("local 192.0.2.1 7",), 1400)
_SIGNALS: tuple[signals.Signal, ...] = (
    signals.Hello("laptop", "", 0, scheduler="bond", compression=("zstd",), framings=("compact", "seed")),
    signals.Ping(7),
    signals.Ids(("00" * 20,)),
    signals.Refusal("full", 3.0),
    signals.Drain(3.0, "restart"),
    signals.Goodbye("enough"),
    signals.Scheduler("redundant"),
)
_RELAYED: tuple[relaying.RelayMessage, ...] = (
    relaying.Register("anna", "01" * 8, ("bert", "*")),
    relaying.Present(7, "bert", "02" * 8, ("local 192.0.2.1 7",)),
    relaying.Absent(7, "bert"),
    relaying.Watch(("carl",)),
    relaying.Undelivered(7, True),
)


def _stream(reader: Callable[[], Callable[[bytes], Sequence[object]]]) -> Reads:
    """Fed in two pieces, cut where the first byte says."""

    def read(data: bytes) -> object:
        feed, cut = reader(), data[0] if data else 0
        return [*feed(data[1 : 1 + cut]), *feed(data[1 + cut :])]

    return read


def _read_envelope(data: bytes) -> object:
    number, content = relaying.opened(relaying.readdress(data, relaying.number_of(data)))
    return number, relaying.unbundle(content) if number else None


def _read_parcel(data: bytes) -> object:
    return neighbouring.unpack(data) if neighbouring.is_parcel(data) else neighbouring.decode(data)


MESSAGES = (
    Target(
        "signals",
        _stream(lambda: signals.SignalReader().feed),
        (MalformedFrame,),
        tuple(b"\x05" + signals.encode(each) for each in _SIGNALS),
        ("wire.signals.decode", "wire.signals.SignalReader.feed", "wire.messages.Catalogue.decode"),
    ),
    Target(
        "introductions",
        _stream(lambda: introductions.IntroductionReader().feed),
        (MalformedFrame,),
        tuple(b"\x05" + introductions.encode(each) for each in (_GREETING, introductions.NotNow("busy"))),
        ("wire.introductions.IntroductionReader.feed",),
    ),
    Target(
        "relaying", relaying.decode, (MalformedFrame,), tuple(map(relaying.encode, _RELAYED)), ("wire.relaying.decode",)
    ),
    Target(
        "envelopes",
        _read_envelope,
        (MalformedFrame,),
        (relaying.address(7, relaying.DATAGRAMS, relaying.bundle(bytes(80), 40)),),
        ("wire.relaying.readdress", "wire.relaying.number_of", "wire.relaying.opened", "wire.relaying.unbundle"),
    ),
    Target(
        "neighbouring",
        _read_parcel,
        (MalformedFrame,),
        (
            neighbouring.encode(neighbouring.Beat(7, "00" * 8)),
            neighbouring.parcel(9, relaying.address(7, relaying.DATAGRAMS, b"x")),
        ),
        ("wire.neighbouring.decode", "wire.neighbouring.unpack"),
    ),
    Target(
        "places",
        of_text(places.read_place),
        (MalformedFrame,),
        (b"observed 198.51.100.1 7", b"local 2001:db8::1 65535"),
        ("wire.places.read_place",),
    ),
    Target(
        "requests",
        lambda line: parse_request(line, "client", FakeNode().verbs()),
        (ConfigError,),
        (b'{"ask": "status"}', b'{"ask": "happenings", "after": 3, "follow": true}'),
        (),
    ),
)
