"""
A switch between one local network and the peers: learns behind whom an Ethernet address is, forgets it in time.

Pure. What comes from a peer goes to the local network alone: every peer hears every other one itself, so that frames
never run in circles between them.

Source: IEEE 802.1D section 7 for learning and ageing.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable

from morphnet.errors import MalformedFrame
from morphnet.wire.ethernet import addresses, is_group

MOST_ADDRESSES = 4096  # remembered; the one heard of longest ago is forgotten first
AGE = 300.0  # seconds without a frame after which an address is forgotten
MOVED_AFTER = 5.0  # seconds of silence on the local network before an address is believed to be elsewhere
LOCAL = ""  # instead of a peer's name


class Switch:
    """Frames in, and to whom they go."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._known: OrderedDict[bytes, tuple[str, float]] = OrderedDict()  # address -> (behind whom, heard at)

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
        behind = self._behind(destination, now)
        if behind == LOCAL:
            return []
        everybody = list(peers)
        return [behind] if behind in everybody else everybody

    def from_peer(self, frame: bytes | memoryview, peer: str, now: float) -> bool:
        """Whether a frame of that peer goes to the local network."""
        try:
            destination, source = addresses(frame)
        except MalformedFrame:
            self.counts["frames_malformed"] += 1
            return False
        known = self._known.get(source)
        if known is not None and known[0] == LOCAL and now - known[1] <= MOVED_AFTER:
            self.counts["frames_circling"] += 1  # one of ours comes back: two of us are on one network
            return False
        self._learn(source, peer, now)
        return is_group(destination) or self._behind(destination, now) in (LOCAL, None)

    def forget(self, peer: str) -> None:
        """It is gone."""
        for address in [address for address, (behind, _) in self._known.items() if behind == peer]:
            del self._known[address]

    def __len__(self) -> int:
        return len(self._known)

    def _learn(self, address: bytes, behind: str, now: float) -> None:
        self._known[address] = behind, now
        self._known.move_to_end(address)
        if len(self._known) > MOST_ADDRESSES:
            self._known.popitem(last=False)

    def _behind(self, address: bytes, now: float) -> str | None:
        found = self._known.get(address)
        return found[0] if found is not None and now - found[1] <= AGE else None
