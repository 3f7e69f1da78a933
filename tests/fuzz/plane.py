"""The data plane whole, against who has no key and against who has one and says what he likes."""

from __future__ import annotations

import struct
from itertools import groupby

from morphnet.config.policy import from_toml
from morphnet.tunnel.guard import Guard
from morphnet.tunnel.places import TOLD, Places
from morphnet.wire.batch import VNET_HDR, Arrival, Endpoint
from morphnet.wire.header import TO_SERVER, TYPES, Header
from morphnet.wire.inner import ERROR, LATER, Inner, look
from morphnet.wire.ip import TCP
from morphnet.wire.seal import seal
from tests.simulation import Link, World, packet
from tests.tunnel.test_guard import HOME, HOME6, LAPTOP, LAPTOP6, icmp, tcp, udp

__all__ = ["GUARDED", "MEMBERS", "STRANGERS", "guard", "member", "packet", "stranger"]

SECONDS = 2.0  # that pass after the last datagram
_POLICY = '[[allow]]\nfrom = "laptop"\nto = "home"\nports = "22"'
_HEAD = struct.Struct("!BBBBBBHB")  # of one datagram of a member's: kind, flags, lane, path, place and more, plain size


def _settled() -> World:
    world = World([(Link(), Link()), (Link(), Link())])
    world.run(0.5)
    return world


def stranger(data: bytes) -> World:
    """
    Datagrams of somebody without a key.

    The first byte says how long each is, and whether it starts with an id that was seen on the wire. Nothing of it may
    be delivered, and no byte may go to where it came from.
    """
    world = _settled()
    shown = next(path.shown for path in world.client_session.paths.values() if path.shown)
    size, known = max(1, data[0] & 0x7F) if data else 1, bool(data and data[0] & 0x80)
    before, source = len(world.at_server), Endpoint("203.0.113.99", 9)
    for at in range(1, len(data), size):
        datagram = (shown[:8] if known else b"") + data[at : at + size]
        arrival = Arrival(0, source, memoryview(datagram), len(datagram))
        effects = world.server.from_path([arrival], world.now)
        assert not effects.delivers, "a stranger's packet was delivered"
        assert not [each for each in effects.sends if each.to == source], "a stranger was answered"
    world.run(SECONDS)
    assert len(world.at_server) == before
    return world


def guard(data: bytes) -> Guard:
    """
    Packets of a member, one behind the other, each behind its length (a byte): against a policy that allows one port.

    What passes is of that port, or an error about it, and the flags of its TCP, or what was sent, say so.
    """
    places = Places()
    places.are(TOLD, {"10.73.0.2": ("laptop",), "10.73.0.3": ("home",), "fd73::2": ("laptop",), "fd73::3": ("home",)})
    made, at = Guard(from_toml(_POLICY), places, lambda refused: None), 0
    while at < len(data):
        packet = bytearray(VNET_HDR) + data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
        packet += bytes(max(0, VNET_HDR + 20 - len(packet)))  # the tunnel delivers nothing shorter
        if made.admit([packet], 1.0):
            seen = look(packet, VNET_HDR)
            assert isinstance(seen, Inner), "what cannot be told has passed"
            assert seen.part == LATER or seen.kind == ERROR or 22 in (seen.from_port, seen.to_port), "another port"
            begins = seen.protocol == TCP and seen.part != LATER and packet[seen.transport + 13] & 0x12 == 0x02
            assert seen.to_port == 22 or not begins, "a connection the other way"
        made.sent([memoryview(packet)], 1.0)
    return made


def member(data: bytes) -> World:
    """
    Sealed datagrams of a client that says what it likes: kinds, numbers, lanes, frames, packets, alone and in runs.

    Whatever comes in, what the server holds for it stays bounded, and its other client does not notice.
    """
    world = _settled()
    session = world.client_session
    shown = next(path.shown for path in session.paths.values() if path.shown)
    number = max(path.delivery.number for path in session.paths.values()) + 1000
    kinds, at, sealed = sorted(TYPES), 0, list[bytes]()
    while at + _HEAD.size <= len(data):
        kind, flags, lane, path, place, compression, sequence, size = _HEAD.unpack_from(data, at)
        plain = data[at + _HEAD.size : at + _HEAD.size + size]
        at += _HEAD.size + size
        number += 1
        header = Header(
            shown, kinds[kind % len(kinds)], sequence, compression % 3, path % 3, session.outbound.keys.epoch,
            flags & 0x1F, round(world.now * 1e6) & 0xFFFFFFFF, place & 63, lane, TO_SERVER, number,
        )  # fmt: skip
        key = session.outbound.keys.take(1, world.now)
        sealed.append(bytes(seal(session.format, key, header, plain)))
    for size, run in groupby(sealed, len):  # as a kernel hands them over: those of one size together
        world.server.from_path([Arrival(0, world.addresses[0], memoryview(b"".join(run)), size)], world.now)
    world.run(SECONDS)
    assert len(world.server.sessions) == 1
    return world


def _one(kind: int, plain: bytes, *, flags: int = 0, sequence: int = 0) -> bytes:
    return _HEAD.pack(kind, flags, 1, 0, 0, 0, sequence, len(plain)) + plain


_INNER = packet(7)[10:]
STRANGERS = (bytes((0x40,)) + bytes(64), bytes((0x80 | 48,)) + bytes(range(96)))
GUARDED = tuple(
    b"".join(bytes((len(each) - VNET_HDR,)) + each[VNET_HDR:] for each in several)
    for several in (
        (tcp(LAPTOP, HOME, (9, 22)), tcp(HOME, LAPTOP, (22, 9), 16), tcp(LAPTOP6, HOME6, (9, 80))),
        (
            udp(LAPTOP, HOME, (9, 22), fragment=0x2000),
            udp(LAPTOP, HOME, (9, 22), fragment=200),
            udp(HOME, LAPTOP, (22, 9)),
        ),
        (icmp(HOME, LAPTOP, 3, bytes(4) + udp(LAPTOP, HOME, (9, 22))[VNET_HDR:]), udp(LAPTOP, HOME, (9, 22), words=2)),
    )
)
MEMBERS = (
    _one(0, _INNER, flags=1, sequence=3) + _one(0, _INNER, flags=1, sequence=2),
    _one(1, b"") + _one(2, b"\0" * 9),
    _one(3, bytes(9)),
    _one(0, b"\x02" + _INNER[:50], flags=0x10),
)
