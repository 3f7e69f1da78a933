"""
A session of the original, at either end: it has a name, and an address where the peer was last heard.

Its datagrams are not authenticated. What can be asked of one from another address is that it shows the right id, has a
body of the right form, and is the next one: its number must be ahead of all that came. So what was recorded moves
nothing; who sees the traffic and writes a datagram of his own does.

Source: docs/legacy section 6.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from morphnet.errors import MalformedFrame
from morphnet.legacy.control import Handshake
from morphnet.legacy.obfuscator import Obfuscator
from morphnet.legacy.templates import HEARTBEAT, Dressed, Template, ahead, id_of, read
from morphnet.wire.batch import Endpoint

KEEPALIVE = b"\x00"  # what WireGuard throws away without a word, and a client's clock takes for a sign of life


def same_place(one: Endpoint | None, other: Endpoint) -> bool:
    """Whether it is the same address and port of the peer's."""
    return one is not None and one[:2] == other[:2]


class Session:
    """
    What both ends know of one another.

    :param handshake: what the client has drawn.
    :param peer: where the other end is.
    :param entropy: gives so many random bytes.
    """

    def __init__(self, handshake: Handshake, peer: Endpoint, entropy: Callable[[int], bytes], *, now: float) -> None:
        self.handshake, self.peer = handshake, peer
        self.called_from = peer  # where its last handshake came from: another port than `peer` behind many a NAT
        self.began_at = self.heard_at = self.sent_at = now
        self.counts = Counter[str]()  # by their names in `status`
        self.moves = 0  # to another address, since it began
        self.received_bytes = self.sent_bytes = 0  # of texts
        self._before: Endpoint | None = None  # where the peer was before it moved
        self._newest = handshake.first - 1
        self._id = id_of(handshake.template, handshake.client)
        self._obfuscator = Obfuscator(handshake.parameters, entropy)
        self._template = Template(handshake.template, handshake.client, handshake.first, entropy)

    def called_again(self, peer: Endpoint, *, now: float) -> None:
        """The client has sent its handshake once more: it is there now, and may count from the beginning."""
        if not same_place(self.peer, peer):
            self.moves += 1
        self.peer = self.called_from = peer
        self._before, self._newest, self.heard_at = None, self.handshake.first - 1, now

    def begin_anew(self) -> None:
        """The other end does not know our numbers any more."""
        self._template.next = self.handshake.first

    def receive(self, source: Endpoint, datagrams: Sequence[bytes], *, now: float) -> list[bytes]:
        """What the peer's program has sent; what is wrong is counted."""
        bodies = []
        for datagram in datagrams:
            try:
                dressed = read(self.handshake.template, datagram)
            except MalformedFrame:
                self.counts["legacy_malformed"] += 1
                continue
            if dressed.id != self._id:
                self.counts["legacy_wrong_id"] += 1
            elif self._is_sound(dressed.body) and self._is_at_home(source, dressed):
                self.heard_at = now
                if dressed.body != HEARTBEAT:
                    bodies.append(dressed.body)
        texts = [text for text in self._obfuscator.show(bodies) if text]
        self.received_bytes += sum(map(len, texts))
        return texts

    def _is_sound(self, body: bytes) -> bool:
        sound = body == HEARTBEAT or Obfuscator.is_body(body)
        if not sound:
            self.counts["legacy_malformed"] += 1
        return sound

    def _is_at_home(self, source: Endpoint, dressed: Dressed) -> bool:
        """Whether it comes from where the peer is, or may be now."""
        lead = ahead(dressed.number, self._newest)
        if not same_place(self.peer, source):
            if lead <= 0:
                late = same_place(self._before, source)
                if not late:
                    self.counts["legacy_elsewhere"] += 1
                return late
            self._before, self.peer = self.peer, source
            self.moves += 1
        if lead > 0:
            self._newest = dressed.number
        return True

    def send(self, run: bytes, size: int, *, now: float, millis: int) -> list[bytes]:
        """
        Datagrams for the peer, all of one size.

        :param run: texts of `size` bytes each, at least 1.
        :param millis: Unix milliseconds.
        """
        self.sent_at = now
        self.sent_bytes += len(run)
        return self._template.dress(self._obfuscator.hide(run, size), millis)

    def heartbeat(self, *, now: float, millis: int) -> bytes:
        """What a client sends now and then; servers do not answer."""
        self.sent_at = now
        return self._template.dress([HEARTBEAT], millis)[0]
