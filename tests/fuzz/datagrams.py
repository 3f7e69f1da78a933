"""Datagrams, packets and frames, and the data plane whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from morphnet.errors import Forged, MalformedFrame
from morphnet.tunnel import fragments
from morphnet.tunnel.intake import Intake
from morphnet.wire import (
    carried,
    compress,
    echo,
    ethernet,
    frames,
    ip,
    offload,
    pcp,
    probes,
    segments,
    virtio,
)
from morphnet.wire.batch import VNET_HDR
from morphnet.wire.core import CORE
from morphnet.wire.formats import COMPACT, SEED
from morphnet.wire.shapes.masked import Masked
from morphnet.wire.shapes.quic import Quic
from tests.fuzz import plane
from tests.fuzz.target import Target

_ECHO_ID, _ECHO_KEY = bytes(8), bytes(32)
_PROBE_KEYS = probes.split_probe_export(bytes(probes.EXPORT_LENGTH), caller=True)
_PROBED = probes.split_probe_export(bytes(probes.EXPORT_LENGTH), caller=False)
_ALL_FRAMES = (
    frames.Ping(),
    frames.Challenge(bytes(8)),
    frames.Response(bytes(8)),
    frames.NewIds((bytes(20),)),
    frames.WantIds(3),
    frames.PathClose(1),
)
_PACKET4 = plane.packet(1)[VNET_HDR:]
_PACKET6 = bytes.fromhex("600000000010110020010db8000000000000000000000001") + bytes(16) + bytes(16)


def _read_format(data: bytes) -> object:
    view, issued = memoryview(data), data[:16] + data[18:22]
    for format in (COMPACT, SEED):
        with contextlib.suppress(MalformedFrame):
            format.unpack(view, 0, len(data), issued.ljust(20, b"\0"), 0)
    return CORE.count_following(COMPACT.slices, view, 41, 0, 64) if len(data) >= 41 else None


def _read_tun(data: bytes) -> object:
    size = max(1, data[0] * 8) if data else 1
    batch = [memoryview(data)[at : at + size] for at in range(1, len(data), size)][: offload.MOST_READS]
    mine, other = CORE.gather(batch), offload.gather(batch)
    assert [each and (each[0], bytes(each[1]), bytes(each[2]), *each[3:]) for each in mine] == [
        each and (each[0], bytes(each[1]), bytes(each[2]), *each[3:]) for each in other
    ]
    return mine


def _keep(data: bytes) -> int:
    """
    Packets of 5 bytes each (size, version, two of the header, flow), and looks at what leaves (0x80): how many left.

    Those of one flow leave in the order in which they came, whatever their sizes are.
    """
    intake, left, number = Intake(), list[tuple[int, int, int]](), 0
    for at in range(0, len(data), 5):
        size, *told = data[at : at + 5].ljust(5, b"\0")
        if size & 0x80:
            left += [(each[VNET_HDR], each[-5], each[-4]) for each in intake.take(size & 0x7F)]
            continue
        head = bytearray(bytes(60 + size * 12))
        head[0], head[6], head[7], head[19], head[39] = (*told[:3], told[3], told[3])
        intake.put(memoryview(bytearray(bytes(VNET_HDR)) + head + bytes((told[3], number & 0xFF, 0, 0, 0))))
        number += 1
    left += [(each[VNET_HDR], each[-5], each[-4]) for each in intake.take(number)]
    assert not intake
    for flow in {each[:2] for each in left}:
        numbers = [each[2] for each in left if each[:2] == flow]
        assert number > 256 or numbers == sorted(numbers), "packets of a flow overtook each other"
    return len(left)


def _write_tun(data: bytes) -> object:
    """What came from a member, made a packet for our kernel; the core in C and the other give the same."""
    if len(data) < 4:
        return None
    place, last, count, flags, body = data[0] & 63, bool(data[1] & 1), max(1, data[1] >> 2), data[2], data[3:]
    out = [bytearray(VNET_HDR) + bytearray(body) for _ in range(2)]
    told = CORE.finish(out[0], place, last, count), offload.finish(out[1], place, last, count)
    assert told[0] == told[1] and (told[0] is None or out[0] == out[1])
    assert CORE.single(memoryview(body), flags) == offload.single(memoryview(body), flags)
    if told[0] is not None and virtio.decode_offload(out[0]).gso_type:
        return list(offload.split(memoryview(out[0])))
    return told


def _join(data: bytes) -> object:
    size = max(1, data[1]) if len(data) > 1 else 1
    slices = [data[at : at + size] for at in range(2, len(data), size)][:64]
    return segments.join(slices, data[0] & 63, bool(data[0] & 64)) if slices else None


def _assemble(data: bytes) -> object:
    held = fragments.Assembly()
    for number, at in enumerate(range(0, len(data), 16)):
        piece = data[at : at + 16]
        with contextlib.suppress(MalformedFrame):
            held.add(piece[0] & 3, piece[0] >> 6, piece[1:], number * 0.3)
        assert held.bytes <= fragments.MAX_BYTES and len(held) <= fragments.MAX_PENDING
    return held


class _Any:
    """Known ids, for a parser that shall read on: all of them."""

    def __contains__(self, item: object) -> bool:
        return True


def _undress(data: bytes) -> object:
    """A row of datagrams that may be dressed, at either end; what is found is within it, and shorter."""
    size, row = max(1, int.from_bytes(data[:2], "big")), memoryview(data[2:])
    for shape in (Masked(bytes(32), bytes), Quic(bytes(32), bytes, ""), Quic(bytes(32), bytes, None)):
        reading = shape.reading(row, size)
        for at in range(0, len(row), size) if reading is not None else ():
            for known in (_Any(), ()):
                found = reading.undress(at, known) if reading is not None else None
                assert found is None or (at < found[2] <= len(row) and len(found[0]) < found[2] - at)
    return None


def _dressed() -> Iterator[bytes]:
    """Three datagrams as a client sends them in each shape, the first of them with what begins a flow, and a run."""
    for shape in (Masked(bytes(32), bytes), Quic(bytes(32), bytes, "a.example").flow()):
        for count in (1, 1, 1, 3):
            out, each = shape.dress(bytes(50) * count, 50, 0, 0, 1500)
            yield each.to_bytes(2, "big") + bytes(out)


def _checksum(data: bytes) -> object:
    virtio.complete_checksum(packet := bytearray(data))
    return packet


DATAGRAMS = (
    Target(
        "frames",
        lambda data: frames.decode_frames(memoryview(data)),
        (MalformedFrame,),
        (frames.encode_frames(_ALL_FRAMES), *(frames.encode_frames((each,)) for each in _ALL_FRAMES)),
        ("wire.frames.decode_frames",),
    ),
    Target(
        "formats",
        _read_format,
        (),
        (bytes(66), bytes(range(120))),
        ("wire.formats.Compact.unpack", "wire.formats.Seed.unpack"),
    ),
    Target(
        "packets", lambda data: ip.peek(memoryview(data)), (MalformedFrame,), (_PACKET4, _PACKET6), ("wire.ip.peek",)
    ),
    Target("intake", _keep, (), (bytes((99, 0x45, 0, 0, 1)) * 3 + bytes((1, 0x60, 44, 0, 1, 0x82)),)),
    Target("from_tun", _read_tun, (), (b"\x10" + plane.packet(1) + plane.packet(2),), ("wire.offload._read",)),
    Target(
        "to_tun", _write_tun, (), (b"\0\x05\0" + _PACKET4, b"\0\x05\x08" + _PACKET6), ("wire.virtio.decode_offload",)
    ),
    Target(
        "checksum",
        _checksum,
        (MalformedFrame,),
        (plane.packet(1), b"\1" + plane.packet(1)[1:]),
        ("wire.virtio.complete_checksum",),
    ),
    Target(
        "slices", _join, (MalformedFrame,), (b"\x40\xff" + _PACKET4,), ("wire.segments.join", "wire.segments._joined")
    ),
    Target("fragments", _assemble, (), (bytes(range(256)),), ("tunnel.fragments.Assembly.add",)),
    Target(
        "compressed",
        lambda data: compress.decompress(data[1:], data[0] & 3 if data else 0),
        (MalformedFrame,),
        tuple(bytes((method,)) + compress.compress(b"a" * 300, method)[1] for method in (0, 1, 2)),
        ("wire.compress.decompress",),
    ),
    Target(
        "ethernet",
        lambda data: ethernet.addresses(ethernet.unwrap(data, 7)),
        (MalformedFrame,),
        (ethernet.wrap(bytes(6) + b"\2" + bytes(53), 7),),
        ("wire.ethernet.addresses", "wire.ethernet.unwrap"),
    ),
    Target(
        "echo",
        lambda data: (echo.id_of(data), echo.read_request(data, _ECHO_KEY)),
        (MalformedFrame, Forged),
        (echo.make_request(_ECHO_ID, _ECHO_KEY, bytes(8), 3),),
        ("wire.echo.id_of", "wire.echo.read_request", "wire.echo._check"),
    ),
    Target(
        "echoed",
        lambda data: (echo.id_of(data), echo.read_answer(data, _ECHO_KEY)),
        (MalformedFrame, Forged),
        (echo.make_answer(_ECHO_ID, _ECHO_KEY, bytes(8), "192.0.2.1", 7),),
        ("wire.echo.read_answer",),
    ),
    Target(
        "probes",
        lambda data: probes.open_probe(_PROBED, data),
        (MalformedFrame, Forged),
        (probes.seal_probe(_PROBE_KEYS, probes.Probe(probes.ASK, bytes(8), "", 0), bytes(12)),),
        ("wire.probes.open_probe",),
    ),
    Target(
        "carried",
        carried.decode_carried,
        (MalformedFrame,),
        (bytes.fromhex("00010203") + b"wg", bytes(4)),
        ("wire.carried.decode_carried",),
    ),
    Target(
        "pcp",
        pcp.decode_answer,
        (MalformedFrame,),
        (
            bytes.fromhex("0281000000001c2000000001")
            + bytes(12)
            + bytes(12)
            + bytes.fromhex("1100000010e110e1")
            + bytes(10)
            + bytes.fromhex("ffffc6336401"),
            bytes.fromhex("0080000000000001c0000201"),
            bytes.fromhex("00810000000000011234123400001c20"),
        ),
        ("wire.pcp.decode_answer",),
    ),
    Target("shapes", _undress, (), tuple(_dressed()), ("wire.shapes.longheader.find",)),
    Target("guard", plane.guard, (), plane.GUARDED, ()),
    Target("stranger", plane.stranger, (), plane.STRANGERS, ()),
    Target(
        "member",
        plane.member,
        (),
        plane.MEMBERS,
        (
            "tunnel.inbound.Inbound._opened",
            "tunnel.inbound.Inbound._packet",
            *(f"wire.pure.Key.{each}" for each in ("open", "open_all", "open_run", "open_whole", "open_row")),
            *(f"wire.seal.{each}" for each in ("open_each", "open_run", "open_whole", "open_row")),
        ),
    ),
)
