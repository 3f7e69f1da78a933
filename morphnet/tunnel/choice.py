"""Which paths traffic may use now: by whether they work, on which terms they may be used, and what carries them."""

from __future__ import annotations

from collections.abc import Collection

from morphnet.tunnel.path import Path, State
from morphnet.tunnel.terms import LAST


def paths_in_use(paths: Collection[Path], *, copies: bool) -> list[Path]:
    """
    The active ones of the lowest level and rank, else those on stand-by; what is for the last resort comes after these.

    :param copies: each packet goes by all of them, and what loses much helps too; where bytes cost, one is enough.
    """
    states = (State.ACTIVE, State.STANDBY) if copies else (State.ACTIVE,)
    found = _first_placed([path for path in paths if path.life.state in states])
    if copies:
        return [min(found, key=_rtt)] if found and found[0].terms.metered else found
    if found and found[0].terms.level < LAST:
        return found
    lossy = _first_placed([path for path in paths if path.life.usable])
    return lossy if not found or lossy[0].terms.level < LAST else found


def _first_placed(paths: list[Path]) -> list[Path]:
    """Those of the lowest level and rank: a relay carries nothing while there is a direct path of its level."""
    if len(paths) < 2:
        return paths
    places = [(path.terms.level, path.rank) for path in paths]
    best = min(places)
    return [path for path, place in zip(paths, places, strict=True) if place == best]


def _rtt(path: Path) -> float:
    return path.rtt.smoothed if path.rtt.smoothed is not None else 1.0
