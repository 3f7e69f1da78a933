"""
Which numbers were seen: a sliding window over packet numbers, or over the sequence of a lane.

Source: RFC 6479, with one big integer in place of its ring of words.
"""

from __future__ import annotations

WINDOW = 8192  # numbers remembered behind the highest


class ReplayWindow:
    """Remembers the last `size` numbers; bit 0 of `bits` is the highest."""

    __slots__ = ("_mask", "bits", "highest", "size")

    def __init__(self, size: int = WINDOW) -> None:
        self.size = size
        self.highest = -1
        self.bits = 0
        self._mask = (1 << size) - 1

    def fresh(self, number: int) -> bool:
        """Whether `number` is new and not too old to tell."""
        behind = self.highest - number
        return behind < 0 or (behind < self.size and not self.bits >> behind & 1)

    def fresh_among(self, first: int, count: int) -> int:
        """How many of `count` numbers from `first` on are fresh."""
        if first > self.highest:
            return count
        ahead = max(0, first + count - 1 - self.highest)
        behind = self.highest - (first + count - 1 - ahead)
        kept = min(count - ahead, self.size - behind)  # of those that are not ahead: young enough to tell
        if kept <= 0:
            return ahead
        return ahead + kept - (self.bits >> behind & ((1 << kept) - 1)).bit_count()

    def add(self, number: int) -> bool:
        """Remember `number`; False, and nothing changed, when it is not fresh."""
        return self.add_run(number, 1) == 1

    def add_run(self, first: int, count: int) -> int:
        """
        Remember `count` consecutive numbers from `first` on, if every one of them is fresh.

        :returns: `count`, or 0 when at least one is not fresh; then nothing has changed.
        """
        last = first + count - 1
        ahead = last - self.highest
        ones = (1 << count) - 1
        if ahead >= count:
            # a leap past the window forgets all of it: shifting by what a peer names would cost what it names
            self.bits = (self.bits << ahead | ones) & self._mask if ahead < self.size else ones & self._mask
            self.highest = last
            return count
        if ahead > 0:
            shifted = self.bits << ahead
            if shifted & ones or count > self.size:
                return 0
            self.bits = (shifted | ones) & self._mask
            self.highest = last
            return count
        behind = -ahead
        if behind + count > self.size or self.bits >> behind & ones:
            return 0
        self.bits |= ones << behind
        return count

    def ranges(self, most: int, span: int) -> tuple[tuple[int, int], ...]:
        """
        The (first, last) ranges seen among the `span` numbers up to the highest, newest first, `most` at the most.
        """
        bits, top = self.bits & ((1 << span) - 1), self.highest
        found: list[tuple[int, int]] = []
        while bits and len(found) < most:
            gap = (bits & -bits).bit_length() - 1
            bits >>= gap
            top -= gap
            length = (~bits & (bits + 1)).bit_length() - 1
            found.append((top - length + 1, top))
            bits >>= length
            top -= length
        return tuple(found)
