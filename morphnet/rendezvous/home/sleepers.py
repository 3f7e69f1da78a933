"""
Homes that say nothing but ping, in as little memory as they need: a record of 124 bytes in a slot each, the second at
which each was last heard, and a table in which a key is found.

Source: docs/scale section 6.
"""

from __future__ import annotations

import ipaddress
import struct
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from morphnet.rendezvous.home.guesses import four_bytes
from morphnet.wire.batch import Endpoint

KEY = 32  # bytes
MOST = (1 << 32) - 1  # that numbers in a record can be
_RECORD = struct.Struct("!32s32s16s16s4sQIIIHH")
_ZERO = bytes(_RECORD.size)
_AT = struct.Struct("!Q")
_AT_OFFSET, _SALT_OFFSET = 100, 96
_CHUNK = 1024  # records that memory is taken for at once
_FREE = MOST  # in `heard`: nobody has that slot
_FOUR = bytes(10) + b"\xff\xff"  # and an IPv4 address, RFC 4291 section 2.5.5.2


class Record(NamedTuple):
    """What has to be remembered of a home."""

    key: bytes  # its public key
    secret: bytes  # of its association, see wire/noise.keys_of
    where: Endpoint
    salt: bytes  # 4 random bytes: with the slot it is the name of its association
    at: int  # of its registration
    number: int  # of the next datagram to it
    message: int  # and message
    highest: int  # of the datagrams that came; -1 for none
    seen: int  # which of the 128 before that came


class Sleepers:
    """All of them. A slot is a number from 0 on."""

    def __init__(self) -> None:
        self._chunks: list[bytearray] = []
        self._heard = array("I")  # by slot: seconds of the caller's
        self._free = array("I")
        self._table = array("I", bytes(4 * 16))  # slot + 1, or 0; a key stands at its hash or behind
        self._known = 0
        self._locals: list[str] = [""]  # addresses of ours, by number
        self._odd: dict[int, Endpoint] = {}  # by slot: places that a record has no room for

    def __len__(self) -> int:
        return self._known

    # -- slots ---------------------------------------------------------------------------------------------------------

    def reserve(self, now: int) -> int:
        """A slot for somebody who may become known."""
        if self._free:
            slot = self._free.pop()
            self._heard[slot] = now
            return slot
        slot = len(self._heard)
        if slot % _CHUNK == 0:
            self._chunks.append(bytearray(_CHUNK * _RECORD.size))
        self._heard.append(now)
        return slot

    def release(self, slot: int) -> None:
        """Nobody has it any more; who was known is not."""
        key = self._key(slot)
        if self.find(key) == slot:
            self._take_out(key)
        chunk, at = self._place(slot)
        chunk[at : at + _RECORD.size] = _ZERO
        self._odd.pop(slot, None)
        self._heard[slot] = _FREE
        self._free.append(slot)

    def heard(self, slot: int, now: int) -> None:
        """It is there."""
        self._heard[slot] = now

    def silent(self, since: int) -> list[int]:
        """Slots of those that were not heard since then."""
        return [slot for slot, heard in enumerate(self._heard) if heard < since]

    # -- records -------------------------------------------------------------------------------------------------------

    def write(self, slot: int, record: Record) -> None:
        """From now on it is known by its key; its numbers are at most MOST."""
        where = record.where
        host = _packed(where.host)
        local = self._local(where.local)
        if host is None or local < 0:
            self._odd[slot] = where
        elif self._odd:
            self._odd.pop(slot, None)
        chunk, at = self._place(slot)
        fresh = chunk[at : at + KEY] != record.key
        _RECORD.pack_into(
            chunk,
            at,
            record.key,
            record.secret,
            record.seen.to_bytes(16, "big"),
            host or bytes(16),
            record.salt,
            record.at,
            record.number,
            record.message,
            record.highest + 1,
            where.port,
            max(local, 0),
        )
        if fresh:
            self._put_in(record.key, slot)

    def read(self, slot: int) -> Record | None:
        """None when nobody is known there."""
        if slot >= len(self._heard):
            return None
        chunk, start = self._place(slot)
        record = _RECORD.unpack_from(chunk, start)
        key, secret, seen, host, salt, at, number, message, expected, port, local = record
        if not at:
            return None
        where = self._odd.get(slot) if self._odd else None
        if where is None:
            where = Endpoint(_unpacked(host), port, self._locals[local])
        return Record(key, secret, where, salt, at, number, message, expected - 1, int.from_bytes(seen, "big"))

    def part(self, number: int, of: int) -> Iterator[tuple[bytes, int]]:
        """Key and `at` of every `of`-th slot, from that number on."""
        for slot in range(number, len(self._heard), of):
            chunk, start = self._place(slot)
            (at,) = _AT.unpack_from(chunk, start + _AT_OFFSET)
            if at:
                yield bytes(chunk[start : start + KEY]), at

    def _place(self, slot: int) -> tuple[bytearray, int]:
        return self._chunks[slot // _CHUNK], slot % _CHUNK * _RECORD.size

    def _key(self, slot: int) -> bytes:
        chunk, at = self._place(slot)
        return bytes(chunk[at : at + KEY])

    def _local(self, local: str) -> int:
        """The number of an address of ours; -1 when there are too many."""
        try:
            return self._locals.index(local)
        except ValueError:
            if len(self._locals) >= 64:
                return -1
            self._locals.append(local)
            return len(self._locals) - 1

    # -- keys: open addressing, with linear probing --------------------------------------------------------------------

    def find(self, key: bytes) -> int:
        """The slot of who is known by it; -1 when nobody is."""
        at = self._look(key)
        return self._table[at] - 1

    def _look(self, key: bytes) -> int:
        """Where in the table it stands, or would stand."""
        table, mask = self._table, len(self._table) - 1
        at = hash(key) & mask  # keyed afresh in each process, so that nobody can choose keys that collide
        while table[at] and self._key(table[at] - 1) != key:
            at = at + 1 & mask
        return at

    def _put_in(self, key: bytes, slot: int) -> None:
        at = self._look(key)
        if not self._table[at]:
            self._known += 1
        self._table[at] = slot + 1
        if self._known * 5 > len(self._table) * 4:
            before = self._table
            self._table = array("I", bytes(8 * len(before)))
            for each in before:
                if each:
                    self._table[self._look(self._key(each - 1))] = each

    def _take_out(self, key: bytes) -> None:
        """Those behind it move up, where they may: a gap would hide them."""
        table, mask = self._table, len(self._table) - 1
        gap = at = self._look(key)
        while table[at := at + 1 & mask]:
            first = hash(self._key(table[at] - 1)) & mask
            if at - first & mask >= at - gap & mask:
                table[gap], gap = table[at], at
        table[gap] = 0
        self._known -= 1


def _packed(host: str) -> bytes | None:
    """16 bytes that stand for this text and no other; None when there are none, as for fe80::1%eth0."""
    four = four_bytes(host)
    if four is not None:
        return _FOUR + four
    try:
        packed = ipaddress.IPv6Address(host).packed
    except ValueError:
        return None
    return packed if _unpacked(packed) == host else None


def _unpacked(packed: bytes) -> str:
    if packed.startswith(_FOUR):
        return ".".join(map(str, packed[12:]))
    return str(ipaddress.IPv6Address(packed))
