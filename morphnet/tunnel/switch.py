"""
A switch between one local network and the peers: learns behind whom an Ethernet address is, forgets it in time.

Pure. What comes from a peer goes to the local network alone: every peer hears every other one itself, so that frames
never run in circles between them.

An address belongs to whom it was first heard from: a peer that shows somebody else's takes nothing away. Only the local
network is believed at once, since its frames come by our own device.

Source: IEEE 802.1D section 7 for learning and ageing.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from morphnet.errors import MalformedFrame
from morphnet.wire.ethernet import addresses, is_group

MOST_ADDRESSES = 4096  # remembered; whoever has the most of them loses the one heard of longest ago
AGE = 300.0  # seconds without a frame after which an address is forgotten: a Linux bridge's own
MOVED_AFTER = 30.0  # seconds of silence behind one peer before another one gets frames for that address as well
LOCAL = ""  # instead of a peer's name


@dataclass(slots=True)
class _Address:
    """What is known of one."""

    owner: str  # behind whom it is
    heard_at: float
    claimant: str | None = None  # a peer that shows it too, while the owner is silent


class Switch:
    """Frames in, and to whom they go."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._known: dict[bytes, _Address] = {}
        self._owned: dict[str, OrderedDict[bytes, None]] = {}  # by owner, the one heard of longest ago first

    def from_local(self, frame: bytes | memoryview, peers: Iterable[str], now: float) -> list[str]:
        """
        A frame of the local network: the peers that it goes to.

        :param peers: all that there are.
        """
        try:
            destination, source = addresses(frame)
        except MalformedFrame:
            self.counts["frames_malformed"] += 1
            return []
        self._learn(source, LOCAL, now)
        everybody, behind = list(peers), self._behind(destination, now)
        if LOCAL in behind:
            return []
        return [peer for peer in everybody if peer in behind] or everybody

    def from_peer(self, frame: bytes | memoryview, peer: str, now: float) -> bool:
        """Whether a frame of that peer goes to the local network."""
        try:
            destination, source = addresses(frame)
        except MalformedFrame:
            self.counts["frames_malformed"] += 1
            return False
        if not self._learn(source, peer, now):
            return False
        behind = self._behind(destination, now)
        return is_group(destination) or not behind or LOCAL in behind

    def forget(self, peer: str) -> None:
        """It is gone."""
        for address in self._owned.pop(peer, ()):
            del self._known[address]
        for known in self._known.values():
            if known.claimant == peer:
                known.claimant = None

    def __len__(self) -> int:
        return len(self._known)

    def _learn(self, address: bytes, behind: str, now: float) -> bool:
        """A frame came from that address there; False when the address is another's, and the frame is to be dropped."""
        known = self._known.get(address)
        if known is None or known.owner == behind or behind == LOCAL or now - known.heard_at > AGE:
            self._own(address, behind, now)
            return True
        if known.owner == LOCAL:
            self.counts["frames_circling"] += 1  # it would lead our own bridge astray
            return False
        if now - known.heard_at <= MOVED_AFTER:
            self.counts["frames_claimed"] += 1
            return False
        known.claimant = behind
        return True

    def _own(self, address: bytes, owner: str, now: float) -> None:
        known = self._known.pop(address, None)
        if known is not None:
            self._disown(address, known.owner)
        elif len(self._known) >= MOST_ADDRESSES:
            self._forget_one()
        self._known[address] = _Address(owner, now)
        self._owned.setdefault(owner, OrderedDict())[address] = None

    def _disown(self, address: bytes, owner: str) -> None:
        del self._owned[owner][address]
        if not self._owned[owner]:
            del self._owned[owner]

    def _forget_one(self) -> None:
        """Who makes addresses up forgets its own first."""
        richest = max(self._owned, key=lambda owner: len(self._owned[owner]))
        oldest = next(iter(self._owned[richest]))
        del self._known[oldest]
        self._disown(oldest, richest)

    def _behind(self, address: bytes, now: float) -> tuple[str, ...]:
        """Behind whom it may be; nobody if that is not known."""
        known = self._known.get(address)
        if known is None or now - known.heard_at > AGE:
            return ()
        return (known.owner,) if known.claimant is None else (known.owner, known.claimant)
