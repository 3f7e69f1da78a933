"""
The shape `quic`: a QUIC connection (version 1) for HTTP/3, to whoever looks on.

The first datagrams of a flow have a handshake in front of what they carry: Initials that everybody can open, with the
name that the operator chose, and what nobody can open behind. All others have a short header in front of what `masked`
makes of them. Nothing of the handshake is used, and nobody needs to have seen it: a datagram is undressed by itself.

Source: docs/protocol section 2.2; RFC 9000 section 17; RFC 9001 sections 4.1 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from morphnet.wire.batch import MAX_SEGMENTS
from morphnet.wire.core import CORE
from morphnet.wire.formats import COMPACT
from morphnet.wire.ip import View
from morphnet.wire.shapes import hello, longheader
from morphnet.wire.shapes.longheader import HANDSHAKE, ID, ZERO_RTT, Found, Ids
from morphnet.wire.shapes.masking import BLOCK
from morphnet.wire.shapes.padding import Padding
from morphnet.wire.shapes.shape import QUIC, Coat, Shape, Undressed

HEADER = COMPACT.header
FRONT = HEADER + 1  # bytes that are masked, with the one that tells of the padding
INSIDE = COMPACT.overhead + 1  # bytes of the least that is in a packet
WITH_INITIAL = 1200  # bytes of each datagram that has one; RFC 9000 section 14.1
MOST_GREETING = 400  # bytes of a datagram that has room beside an Initial, whatever the name in that
MOST_BESIDE = 63  # bytes of padding of such a one
TRIES = 4  # times that one end answers an Initial in one flow
BETWEEN = 3  # datagrams that a client sends as early data alone before it repeats its Initial
SELDOM = 24  # and from the fourth repetition on
MOST_FLOWS = 4096  # that are remembered; who is forgotten shows no handshake any more
SERVER_FINISHES, CLIENT_FINISHES = 190, 74  # bytes of a Handshake packet: EncryptedExtensions and Finished; Finished
_FIXED, _LONG = b"\x40", 0xC0  # the first two bits of packets with a short header, and with a long one

# What a server takes, and a client: bytes that are masked, those before them, and of the least datagram.
_TAKEN = (FRONT, 1 + ID, INSIDE + 1 + ID), (FRONT, 1, INSIDE + 1)

Entropy = Callable[[int], bytes]


class Quic:
    """
    Of one network, at one end.

    :param network: 32 bytes, the key of the network's knock.
    :param sni: at a client the name that is asked for, empty for none; None at a server.
    """

    name = QUIC

    def __init__(self, network: bytes, entropy: Entropy, sni: str | None) -> None:
        key = HKDFExpand(algorithm=SHA256(), length=32, info=b"morphnet 1 quic").derive(network)
        self.cipher = Cipher(AES(key), ECB()).encryptor()
        self.entropy, self.sni = entropy, sni
        self.client = sni is not None
        self.padding = Padding(entropy)
        self.flows: dict[bytes, QuicFlow] = {}  # by the server's connection id, the one used last at the end
        self.nobody = self.latest = QuicFlow(self, b"", b"")  # a flow whose ids are not ours
        self.read = 0  # calls of the cipher to read what came, since the start

    @property
    def least(self) -> int:
        """Bytes that a datagram with a short header is longer, besides padding: a server's has no connection id."""
        return 2 + (ID if self.client else 0)

    # -- flows -------------------------------------------------------------------------------------------------------

    def flow(self) -> QuicFlow:
        """Another connection, from its first datagram on; a server begins none."""
        if not self.client:
            return self.nobody
        first = self._named(self.entropy(ID // 2))
        return self.remember(QuicFlow(self, self._answer_to(first), first))

    def proved(self) -> None:
        """As in `Shape`."""

    def dress(self, data: View, size: int, least: int, most: int, room: int) -> tuple[View, int]:
        """As a flow does whose handshake is over."""
        return self.nobody.dress(data, size, least, most, room)

    def coat(self, most: int) -> Coat:
        """The same."""
        return self.nobody.coat(most)

    def of_initial(self, first: bytes) -> QuicFlow:
        """Server: the flow whose client has sent its first Initial to that connection id."""
        if self._named(first[: ID // 2]) != first:
            return self.nobody
        answer = self._answer_to(first)
        found = self.flows.get(answer)
        return found if found is not None and found.first else QuicFlow(self, answer, first)

    def of_id(self, answer: bytes) -> QuicFlow:
        """The flow with that connection id of the server's."""
        found = self.flows.get(answer)
        if found is not None:
            return found
        if self.client or self._named(answer[: ID // 2]) != answer:
            return self.nobody
        return QuicFlow(self, answer, b"")

    def remember(self, flow: QuicFlow) -> QuicFlow:
        """It is the last one that was used; the one that was not for longest is forgotten if there are too many."""
        self.flows.pop(flow.answer, None)
        if len(self.flows) >= MOST_FLOWS:
            del self.flows[next(iter(self.flows))]
        self.flows[flow.answer] = self.latest = flow
        return flow

    def _named(self, chosen: bytes) -> bytes:
        """A connection id that only members can tell from a random one: half of it is made from the other half."""
        return chosen + self.cipher.update(chosen + bytes(BLOCK - len(chosen)))[: ID - len(chosen)]

    def _answer_to(self, first: bytes) -> bytes:
        """The id that the server has in the flow of that one."""
        return self._named(self.cipher.update(first + first)[: ID // 2])

    # -- masks -------------------------------------------------------------------------------------------------------

    def cover(self, data: View, size: int, padding: int, before: bytes) -> View:
        """The datagrams, masked behind `before`."""
        blocks = -(-(len(before) + FRONT + padding) // BLOCK)
        stream = self.cipher.update(CORE.mask_samples(data, size, HEADER, blocks))
        return CORE.mask_dress(data, size, HEADER, stream, padding, before)

    def stream(self, data: View, size: int, before: int) -> bytes:
        """The masks of these datagrams, with one call of the cipher."""
        self.read += 1
        return self.cipher.update(CORE.mask_samples(data, size, before + FRONT, -(-(before + FRONT) // BLOCK)))

    def take(self, data: View, size: int, known: Container[bytes]) -> tuple[Undressed, Shape] | None:
        """As in `Shape`: short headers."""
        if not data or data[0] & 0xC0 != _FIXED[0]:
            return None
        self.read += 1
        layout = _TAKEN[self.client]
        found = CORE.mask_take(data, size, self.cipher.update, layout, known)
        if found is None:
            return None
        return found, self.nobody if self.client else self.of_id(bytes(data[1 : 1 + ID]))

    def reading(self, data: View, size: int, *, ours: bool = False) -> QuicReading | None:
        """As in `Shape`."""
        least = INSIDE + 1 + (ID if self.client is ours else 0)
        if size < least:
            return None
        total = len(data)
        over = total % size
        if 0 < over < least:  # nothing of ours ends so
            total -= over
            data = data[:total]
        return QuicReading(self, data, size, ours=ours) if least <= total <= size * MAX_SEGMENTS else None


class QuicFlow:
    """One connection: what one path wears, from one address to another."""

    name = QUIC

    def __init__(self, quic: Quic, answer: bytes, first: bytes) -> None:
        """
        :param answer: the server's connection id.
        :param first: the one that the first Initial goes to; empty where that is not known.
        """
        self._quic, self.answer, self.first = quic, answer, first
        self._owed = bool(first) and quic.client  # whether the next datagram that has room brings an Initial
        self._answered = False  # client: whether the server's has come
        self._number = 0  # of the next Initial
        self._answers = 0  # Initials that were answered with one
        self._hello = b""  # the same in all of them
        self._early = 0  # datagrams that go as early data before the next one
        self.least = quic.least
        self._before = _FIXED + (answer or bytes(ID)) if quic.client else _FIXED

    def flow(self) -> Quic | QuicFlow:
        """A client begins another one when it sends from elsewhere; a server answers in that in which it was asked."""
        return self._quic.flow() if self._quic.client else self

    def proved(self) -> None:
        """As in `Shape`: only now it is remembered."""
        if self.answer and self is not self._quic.latest:
            self._quic.remember(self)

    def dress(self, data: View, size: int, least: int, most: int, room: int) -> tuple[View, int]:
        """As in `Shape`."""
        size, quic = min(size, len(data)), self._quic
        if self._owed and len(data) == size <= MOST_GREETING and WITH_INITIAL - size <= room:
            out = self._greet(data)
            return out, len(out)
        padding = quic.padding.draw(least, most)
        return quic.cover(data, size, padding, self._before), size + self.least + padding

    def coat(self, most: int) -> Coat:
        """As in `Shape`: a run has no handshake in front."""
        return Coat(self._before, self._quic.padding.draw(0, most), self._quic.cipher.update)

    def take(self, data: View, size: int, known: Container[bytes]) -> tuple[Undressed, Shape] | None:
        """As in `Shape`."""
        return self._quic.take(data, size, known)

    def reading(self, data: View, size: int, *, ours: bool = False) -> QuicReading | None:
        """As in `Shape`."""
        return self._quic.reading(data, size, ours=ours)

    def heard(self, found: Found) -> None:
        """Perhaps the other end's part of the handshake has come, with a datagram that shows an id of ours."""
        if not found.initial:
            return
        if self._quic.client:
            self._answered = True
        owed = self._quic.client or found.zero_rtt
        self._owed = owed and bool(self.first) and self._answers < TRIES

    def _greet(self, data: View) -> bytes:
        """A datagram with our part of the handshake in front."""
        quic, entropy = self._quic, self._quic.entropy
        low = entropy(2)
        body = bytes(quic.cover(data, len(data), quic.padding.draw(0, MOST_BESIDE), b""))
        if quic.client and not self._answered:
            ids = Ids(self.first, b"")
            rest = longheader.protected(ZERO_RTT, ids, low[0], body)
            if self._early:
                self._early -= 1
                return rest
            self._early = BETWEEN if self._number + 1 < TRIES else SELDOM
            self._hello = self._hello or longheader.crypto(hello.client_hello(quic.sni or "", entropy))
            frames = self._hello
        else:
            ids = Ids(self.answer, b"") if quic.client else Ids(b"", self.answer)
            finished = entropy(CLIENT_FINISHES if quic.client else SERVER_FINISHES)
            short = bytes((self._before[0] | low[0] & 0x1F,)) + self._before[1:]
            rest = longheader.protected(HANDSHAKE, ids, low[1], finished) + short + body
            frames = longheader.acknowledged(0, 64 + low[1])
            if not quic.client:
                self._hello = self._hello or longheader.crypto(hello.server_hello(entropy))
                frames += self._hello
        keys = longheader.initial_keys(self.first, "client" if quic.client else "server")
        number, self._number = self._number, self._number + 1
        self._owed = quic.client and not self._answered
        self._answers += not self._owed
        return longheader.seal_initial(keys, ids, number, frames, WITH_INITIAL - len(rest)) + rest


class QuicReading:
    """Datagrams of which some may be ours."""

    __slots__ = "_before", "_data", "_ours", "_quic", "_size", "_stream", "worn"

    def __init__(self, quic: Quic, data: View, size: int, *, ours: bool) -> None:
        self._quic, self._data, self._size, self._ours = quic, data, size, ours
        self._before = 1 + ID if quic.client is ours else 1
        self._stream = b""  # the masks of all, once one of them may have a short header
        self.worn: Shape = quic.nobody

    def undress(self, at: int, known: Container[bytes]) -> Undressed | None:
        """As in `Reading`. What shows no known id once its mask is off costs nothing more."""
        kind = self._data[at] & 0xC0 if at < len(self._data) else 0
        if kind == _FIXED[0]:
            return self._short(at, known)
        return self._long(at, known) if kind == _LONG else None

    def _short(self, at: int, known: Container[bytes]) -> Undressed | None:
        """Those that have short headers, one after the other."""
        quic, before = self._quic, self._before
        self._stream = self._stream or quic.stream(self._data, self._size, before)
        asked = bytes(self._data[at + 1 : at + before])
        found = CORE.mask_undress(self._data, self._size, at, self._stream, (FRONT, before), known)
        if found is not None and asked and not self._ours:
            self.worn = quic.of_id(asked)
        return found

    def _long(self, at: int, known: Container[bytes]) -> Undressed | None:
        """One that begins with a long header."""
        datagram, quic = self._data[at : at + self._size], self._quic
        found = longheader.find(datagram, self._before)
        if found is None or len(datagram) - found.at < INSIDE:
            return None
        inside = datagram[found.at :]
        undressed = CORE.mask_undress(inside, len(inside), 0, quic.stream(inside, len(inside), 0), (FRONT, 0), known)
        if undressed is None:
            return None
        if not self._ours:
            self._hear(found)
        return *undressed[:2], at + len(datagram), 0

    def _hear(self, found: Found) -> None:
        if self._quic.client:
            flow = self._quic.of_id(found.ids.source)
        else:
            flow = self._quic.of_initial(found.ids.to) if found.zero_rtt else self._quic.of_id(found.ids.to)
            self.worn = flow
        flow.heard(found)
