"""On which terms a client lets us send by each of its paths, from what it has told."""

from __future__ import annotations

from morphnet.tunnel.terms import ENDLESS, MOST, Terms
from morphnet.wire.messages.terms import PathTerms, told


def terms_told(signal: PathTerms) -> dict[int, Terms]:
    """By path id; of one that is named twice the last word counts."""
    found = [told(text) for text in signal.paths]
    return {each.path: Terms(min(each.level, MOST), each.metered, each.rate or ENDLESS) for each in found}
