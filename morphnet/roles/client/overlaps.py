"""A local network that has the same addresses as the inner one: seen, and said."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from morphnet.host.outside import Network, overlapping


class Overlaps:
    """
    Says so once, for as long as it is so.

    :param tell: takes the sentence, for the history.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.inner: tuple[str, ...] = ()  # the inner networks, or addresses with their length, in CIDR notation
        self.sentences: tuple[str, ...] = ()

    def look(self, networks: Sequence[Network]) -> None:
        """The machine reaches these without the tunnel."""
        before = self.sentences
        self.sentences = tuple(_sentence(*each) for each in overlapping(networks, self.inner))
        for sentence in self.sentences:
            if sentence not in before:
                self._tell(sentence)


def _sentence(local: Network, inner: str) -> str:
    return (
        f"the local network {local.prefix} of {local.device} has the same addresses as the inner network {inner}: only"
        " what the tunnel has a longer prefix for is reached through it; give one of the two other addresses"
    )
