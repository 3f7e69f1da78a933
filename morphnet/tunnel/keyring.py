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
USUAL = 120.0  # seconds after which a ratchet turns, unless it is to turn more slowly
FORGOTTEN = 4.5  # turns' time without a sign of the peer, after which nothing is kept: 540 seconds, as WireGuard does
UNHEARD = 4  # turns by time alone without a sign that the peer hears us: fewer than LOOKAHEAD, so that it can follow
OVERLAP = 60.0  # seconds that an old key is still accepted once its successor was seen: 180 after its first use
GENERATION_STEP = 64  # epochs between the keys of one handshake and those of the next


class SendKeys:
    """The key in use for sending, and when to leave it."""

    def __init__(self, rekey_seconds: float, rekey_packets: int) -> None:
        self._seconds, self._limit = rekey_seconds, FORGOTTEN * max(USUAL, rekey_seconds)
        self._packets = min(rekey_packets, HARD_LIMIT)
        self._secret = b""
        self._key: Key | None = None
        self.live = False  # whether there is a key
        self.due = float("inf")  # `age` has nothing to do before
        self.epoch = 0
        self.used = 0  # datagrams sealed in this epoch
        self.turns = 0  # ratchet turns, ever
        self._since = 0.0
        self._unheard = 0  # turns since the peer last acknowledged anything
        self._heard_at = 0.0
        self._pending: tuple[bytes, int, float] | None = None  # see `offer`; since when

    def install(self, secret: bytes, epoch: int, now: float) -> None:
        """Start a new chain, from a new handshake."""
        self._begin(secret, epoch, now)
        self._unheard, self._heard_at, self._pending = 0, now, None
        self._plan()

    def _begin(self, secret: bytes, epoch: int, now: float) -> None:
        self._secret, self._key, self.epoch, self.live = secret, data_key(secret), epoch, True
        self.used, self._since = 0, now

    def offer(self, secret: bytes, epoch: int, now: float) -> None:
        """A new chain, to be used as soon as the peer uses its own of the same handshake."""
        self._pending = secret, epoch, now
        self._plan()

    def peer_uses(self, epoch: int, now: float) -> None:
        """The peer uses that epoch: if it is one of the handshake whose chain waits, that is started."""
        if self._pending is not None and 0 <= epoch - self._pending[1] <= LOOKAHEAD:
            self.install(self._pending[0], self._pending[1], now)

    def turn(self, now: float) -> None:
        """Ratchet: the next epoch begins, the old secret is forgotten."""
        if self._key is not None:
            self._begin(next_secret(self._secret), self.epoch + 1, now)
            self.turns += 1
            self._unheard += 1
            self._plan()

    def heard(self, now: float) -> None:
        """The peer acknowledged something: it follows."""
        self._heard_at = now
        if self._unheard:
            self._unheard = 0
            self._since = max(self._since, now - self._seconds)  # the peer need not guess how often we turned meanwhile
            self._plan()

    def _plan(self) -> None:
        self.due = self._pending[2] + self._limit if self._pending is not None else float("inf")
        if self._key is not None:
            turn_at = self._since + self._seconds if self._unheard < UNHEARD else float("inf")
            self.due = min(self.due, turn_at, self._heard_at + self._limit)

    def age(self, now: float) -> bool:
        """Time has passed, whether anything is sent or not. True when that was the end of the last key."""
        if self._pending is not None and now - self._pending[2] >= self._limit:
            self._pending = None
        ended = self.live and now - self._heard_at >= self._limit
        if ended:
            self._secret, self._key, self.live = b"", None, False
        elif self.live:
            self._turn_in_time(now)
        self._plan()
        return ended

    def _turn_in_time(self, now: float) -> None:
        """As often as the peer expects it by now, which forgets old keys by the same time."""
        turns = int((now - self._since) / self._seconds)
        for _ in range(min(turns, UNHEARD - self._unheard)):
            self.turn(now)

    def take(self, count: int, now: float) -> Key:
        """The key for sealing `count` datagrams (1 .. 64) now; read `epoch` afterwards."""
        if self._key is None:
            raise BugError("no key installed")
        if now - self._since >= self._seconds:
            self._turn_in_time(now)
        if self.used + count > self._packets:
            self.turn(now)
        self.used += count
        return self._key


class _Chain:
    """The epochs that follow from one handshake."""

    __slots__ = ("ahead", "begun_at", "confirmed", "confirmed_at", "epoch")

    def __init__(self, secret: bytes, epoch: int, now: float) -> None:
        self.begun_at, self.epoch = now, epoch  # the oldest that there is a secret of
        self.confirmed, self.confirmed_at = -1, float("inf")  # the newest that was; when it was first
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

    def confirm(self, epoch: int, now: float) -> None:
        """The peer uses `epoch`: forget every secret before it."""
        self.confirmed, self.confirmed_at = epoch, now
        self.forget_before(epoch)

    def forget_before(self, epoch: int) -> None:
        """Keep no secret from which a key before `epoch` follows."""
        if epoch > self.epoch and self.look(epoch) is not None:
            self.epoch = epoch
            self.ahead = {step: entry for step, entry in self.ahead.items() if step >= epoch}


class ReceiveKeys:
    """The keys that are good for opening right now."""

    def __init__(self, rekey_seconds: float = USUAL) -> None:
        """:param rekey_seconds: after which the peer turns its ratchet, or later."""
        self._seconds = max(USUAL, rekey_seconds)
        self._used_at = float("-inf")  # when a key was last good for something, or came
        self.due = float("inf")  # `age` has nothing to do before
        self._chains: list[_Chain] = []  # oldest handshake first; at most two
        self._live: dict[int, tuple[Key, float]] = {}  # epoch -> key, refused from (seconds)
        self._matching: dict[tuple[int, int], tuple[int, ...]] = {}  # answers of `matching` that still hold
        self.epoch = -1  # newest that was confirmed

    def install(self, secret: bytes, epoch: int, now: float) -> None:
        """Accept the epochs of a new handshake too."""
        self._chains = [*self._chains[-1:], _Chain(secret, epoch, now)]
        self._matching.clear()
        self._used_at = now
        self._plan()

    def expect(self, rekey_seconds: float) -> None:
        """The peer says after how long it turns its ratchet."""
        self._seconds = max(USUAL, rekey_seconds)
        self._plan()

    @property
    def live(self) -> bool:
        """Whether there is any key, or the secret of one."""
        return bool(self._live or self._chains)

    def _plan(self) -> None:
        ends = [end for _, end in self._live.values()]
        steps = [self._step_at(chain) for chain in self._chains]
        forgotten_at = self._used_at + FORGOTTEN * self._seconds if self.live else float("inf")
        self.due = min([*ends, *steps, forgotten_at])

    def _step_at(self, chain: _Chain) -> float:
        """
        When the peer can have sent nothing for OVERLAP seconds by the oldest key that the chain leads to; of a chain
        that it has not begun to use, when it will not begin any more.
        """
        if chain.confirmed < 0:
            return chain.begun_at + FORGOTTEN * self._seconds
        steps = chain.epoch - chain.confirmed + 1
        if steps > UNHEARD:
            return float("inf")
        return chain.confirmed_at + steps * self._seconds + OVERLAP

    def age(self, now: float) -> None:
        """Time has passed, whether anything came or not: forget what the peer uses no more, or all, if it is gone."""
        if now < self.due:
            return
        if now - self._used_at >= FORGOTTEN * self._seconds:
            self._chains, self._live = [], {}
        self._live = {epoch: entry for epoch, entry in self._live.items() if now < entry[1]}
        self._chains = [chain for chain in self._chains if chain.confirmed >= 0 or now < self._step_at(chain)]
        for chain in self._chains:
            while self._step_at(chain) <= now:
                chain.forget_before(chain.epoch + 1)
        self._matching.clear()
        self._plan()

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
        self.age(now)
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
        self._used_at = now
        if epoch in self._live:
            return False
        for place, chain in enumerate(self._chains):
            key = chain.look(epoch)
            if key is None:
                continue
            self._live = {e: (k, min(end, now + OVERLAP)) for e, (k, end) in self._live.items() if now < end}
            for skipped in range(chain.epoch, epoch):  # under way on a slower path, maybe
                self._live.setdefault(skipped, (chain.ahead[skipped][1], now + OVERLAP))
            chain.confirm(epoch, now)
            self._chains = self._chains[place:]
            self._live[epoch] = key, now + self._seconds + OVERLAP
            self._matching.clear()
            self.epoch = epoch
            self._plan()
            return True
        return False
