"""
The data keys of one session: one ratchet per direction, turned by time and by count.

Source: docs/protocol section 3.
"""

from __future__ import annotations

from morphnet.errors import BugError
from morphnet.wire.core import Key
from morphnet.wire.keys import data_key, next_secret

HARD_LIMIT = 1 << 23  # datagrams under one key, never more (AES-GCM, SP 800-38D, with a wide margin)
LOOKAHEAD = 8  # epochs that a receiver may have missed
UNHEARD = 4  # turns by time alone without a sign that the peer hears us: fewer than LOOKAHEAD, so that it can follow
OVERLAP = 60.0  # seconds that an old key is still accepted once its successor was seen: 180 after its first use
GENERATION_STEP = 64  # epochs between the keys of one handshake and those of the next


class SendKeys:
    """The key in use for sending, and when to leave it."""

    def __init__(self, rekey_seconds: float, rekey_packets: int) -> None:
        self._seconds = rekey_seconds
        self._packets = min(rekey_packets, HARD_LIMIT)
        self._secret = b""
        self._key: Key | None = None
        self.epoch = 0
        self.used = 0  # datagrams sealed in this epoch
        self.turns = 0  # ratchet turns, ever
        self._since = 0.0
        self._unheard = 0  # turns since the peer last acknowledged anything

    def install(self, secret: bytes, epoch: int, now: float) -> None:
        """Start a new chain, from a new handshake."""
        self._secret, self._key, self.epoch = secret, data_key(secret), epoch
        self.used, self._since, self._unheard = 0, now, 0

    def turn(self, now: float) -> None:
        """Ratchet: the next epoch begins, the old secret is forgotten."""
        unheard = self._unheard + 1
        self.install(next_secret(self._secret), self.epoch + 1, now)
        self.turns += 1
        self._unheard = unheard

    def heard(self) -> None:
        """The peer acknowledged something: it follows."""
        self._unheard = 0

    def take(self, count: int, now: float) -> Key:
        """The key for sealing `count` datagrams (1 .. 64) now; read `epoch` afterwards."""
        if self._key is None:
            raise BugError("no key installed")
        due = now - self._since >= self._seconds and self._unheard < UNHEARD
        if due or self.used + count > self._packets:
            self.turn(now)
        self.used += count
        return self._key


class _Chain:
    """The epochs that follow from one handshake."""

    __slots__ = ("ahead", "epoch", "secret")

    def __init__(self, secret: bytes, epoch: int) -> None:
        self.secret, self.epoch = secret, epoch  # of the newest epoch that was confirmed, or the first
        self.ahead: dict[int, tuple[bytes, Key]] = {epoch: (secret, data_key(secret))}

    def look(self, epoch: int) -> Key | None:
        """The key of `epoch` if it is within LOOKAHEAD; derived at most once."""
        if not self.epoch <= epoch <= self.epoch + LOOKAHEAD:
            return None
        if epoch not in self.ahead:
            top = max(self.ahead)
            secret = self.ahead[top][0]
            for step in range(top + 1, epoch + 1):
                secret = next_secret(secret)
                self.ahead[step] = secret, data_key(secret)
        return self.ahead[epoch][1]

    def confirm(self, epoch: int) -> None:
        """Forget every secret before `epoch`."""
        self.epoch, self.secret = epoch, self.ahead[epoch][0]
        self.ahead = {step: entry for step, entry in self.ahead.items() if step >= epoch}


class ReceiveKeys:
    """The keys that are good for opening right now."""

    def __init__(self) -> None:
        self._chains: list[_Chain] = []  # oldest handshake first; at most two
        self._live: dict[int, tuple[Key, float]] = {}  # epoch -> key, refused from (seconds)
        self._matching: dict[tuple[int, int], tuple[int, ...]] = {}  # answers of `matching` that still hold
        self.epoch = -1  # newest that was confirmed

    def install(self, secret: bytes, epoch: int) -> None:
        """Accept the epochs of a new handshake too."""
        self._chains = [*self._chains[-1:], _Chain(secret, epoch)]
        self._matching.clear()

    def matching(self, low: int, bits: int) -> tuple[int, ...]:
        """The epochs whose low `bits` bits are `low`, of all that there may be a key for; the newest first."""
        found = self._matching.get((low, bits))
        if found is None:
            ahead = (e for chain in self._chains for e in range(chain.epoch, chain.epoch + LOOKAHEAD + 1))
            every = sorted({*self._live, *ahead}, reverse=True)
            found = tuple(epoch for epoch in every if epoch & ((1 << bits) - 1) == low)
            self._matching[low, bits] = found
        return found

    def look(self, epoch: int, now: float) -> Key | None:
        """The key for `epoch`, or None when there is none or it is too old."""
        entry = self._live.get(epoch)
        if entry is not None:
            return entry[0] if now < entry[1] else None
        for chain in self._chains:
            key = chain.look(epoch)
            if key is not None:
                return key
        return None

    def confirm(self, epoch: int, now: float) -> bool:
        """A datagram of `epoch` was authentic: older epochs start to expire. True when that is news."""
        if epoch in self._live:
            return False
        for place, chain in enumerate(self._chains):
            key = chain.look(epoch)
            if key is None:
                continue
            self._live = {e: (k, min(end, now + OVERLAP)) for e, (k, end) in self._live.items() if now < end}
            for skipped in range(chain.epoch, epoch):  # under way on a slower path, maybe
                self._live.setdefault(skipped, (chain.ahead[skipped][1], now + OVERLAP))
            chain.confirm(epoch)
            self._chains = self._chains[place:]
            self._live[epoch] = key, float("inf")
            self._matching.clear()
            self.epoch = epoch
            return True
        return False
