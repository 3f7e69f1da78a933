"""
The three things that the original's datagrams look like: what stands in front of each body.

Nothing in it is protected: the id is the beginning of the ClientID, and the number counts up.

Source: docs/legacy section 4.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from morphnet.errors import MalformedFrame

QUIC, KCP, GAME = 1, 2, 3
CLIENT_ID = 16  # bytes
HEARTBEAT = b"\x01"  # in place of a body; bodies are longer
_SPAN = 1 << 16  # numbers count up to here, and begin anew
_QUIC = struct.Struct("!B8sH")  # flags, id, number
_KCP = struct.Struct("<4sBBHIIII")  # id, command, fragment, window, time, number, acknowledged, length
_GAME = struct.Struct("!4s4sHBB")  # "GAME", id, number, type, flags
_MAGIC = b"GAME"
_PUSH, _WINDOW = 0x51, 256  # of KCP


@dataclass(frozen=True, slots=True)
class Dressed:
    """A datagram, read."""

    id: bytes  # the first bytes of the ClientID, 8 (QUIC) or 4
    number: int  # 0 .. 65535
    body: bytes


def _quic(client: bytes, number: int, body: bytes, chance: int, millis: int) -> bytes:
    return _QUIC.pack(0x40 | chance & 15, client[:8], number) + body


def _kcp(client: bytes, number: int, body: bytes, chance: int, millis: int) -> bytes:
    acknowledged = max(0, number - 1)
    head = (client[:4], _PUSH, 0, _WINDOW, millis & 0xFFFFFFFF, number, acknowledged, len(body))
    return _KCP.pack(*head) + body


def _game(client: bytes, number: int, body: bytes, chance: int, millis: int) -> bytes:
    return _GAME.pack(_MAGIC, client[:4], number, chance % 5 + 1, chance >> 8) + body


_DRESS = {QUIC: _quic, KCP: _kcp, GAME: _game}
_OVERHEAD = {QUIC: _QUIC.size, KCP: _KCP.size, GAME: _GAME.size}


def read(template: int, datagram: bytes) -> Dressed:
    """
    Take a datagram apart.

    :raises MalformedFrame: too short, or without its word.
    """
    length = _OVERHEAD[template]
    if len(datagram) < length:
        raise MalformedFrame("datagram shorter than its template")
    head, body = datagram[:length], datagram[length:]
    if template == QUIC:
        _, client, number = _QUIC.unpack(head)
    elif template == KCP:
        client, _, _, _, _, number, _, _ = _KCP.unpack(head)
    else:
        magic, client, number, _, _ = _GAME.unpack(head)
        if magic != _MAGIC:
            raise MalformedFrame("no GAME")
    return Dressed(client, number % _SPAN, body)


def id_of(template: int, client: bytes) -> bytes:
    """What of a ClientID (16 bytes) is in its datagrams."""
    return client[: 8 if template == QUIC else 4]


def shown_ids(datagram: bytes) -> tuple[tuple[int, bytes], ...]:
    """Template and id of all that a datagram may be; cheap, for most of what is asked about is garbage."""
    if datagram[:4] == _MAGIC:
        return ((GAME, datagram[4:8]),)
    return ((QUIC, datagram[1:9]), (KCP, datagram[:4]))


def ahead(number: int, before: int) -> int:
    """How far a number is ahead of another, -32768 .. 32767."""
    return (number - before + _SPAN // 2) % _SPAN - _SPAN // 2


class Template:
    """
    What one end puts in front of what it sends.

    :param client: the ClientID, 16 bytes.
    :param first: the number that it begins with.
    :param entropy: gives so many random bytes.
    """

    def __init__(self, template: int, client: bytes, first: int, entropy: Callable[[int], bytes]) -> None:
        """:raises MalformedFrame: there is no such template, or the number is out of range."""
        if template not in _DRESS or len(client) != CLIENT_ID or not 0 <= first < _SPAN:
            raise MalformedFrame("no such template")
        self.id, self.overhead = template, _OVERHEAD[template]
        self._dress, self._client, self._entropy = _DRESS[template], client, entropy
        self.next = first  # number of the next datagram

    def dress(self, bodies: Sequence[bytes], millis: int) -> list[bytes]:
        """
        Datagrams of bodies.

        :param millis: Unix milliseconds; KCP shows them.
        """
        chance = self._entropy(2 * len(bodies))
        dressed = []
        for at, body in enumerate(bodies):
            drawn = chance[2 * at] << 8 | chance[2 * at + 1]
            dressed.append(self._dress(self._client, self.next, body, drawn, millis))
            self.next = (self.next + 1) % _SPAN
        return dressed
