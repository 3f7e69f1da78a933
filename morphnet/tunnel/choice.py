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
    found = _first_placed([path for path in paths if path.life.state is State.ACTIVE])
    if not found or found[0].terms.level >= LAST:
        lossy = _first_placed([path for path in paths if path.life.usable])
        found = lossy if not found or lossy[0].terms.level < LAST else found
    for path in paths if copies and found else ():
        if path.terms.metered or path.life.state is State.STANDBY:
            return _with_copies(found, paths)
    return found


def _with_copies(found: list[Path], paths: Collection[Path]) -> list[Path]:
    """Those that are not metered, or one of them if all are; and besides what loses much and would come before them."""
    last = found[0].place
    carrying = [path for path in found if not path.terms.metered] or [min(found, key=_rtt)]
    for path in paths:
        if path.life.state is State.STANDBY and not path.terms.metered and path not in carrying and path.place <= last:
            carrying.append(path)
    return carrying


def _first_placed(paths: list[Path]) -> list[Path]:
    """Those of the lowest level and rank: a relay carries nothing while there is a direct path of its level."""
    if len(paths) < 2:
        return paths
    places = [(path.terms.level, path.rank) for path in paths]
    best = min(places)
    return [path for path, place in zip(paths, places, strict=True) if place == best]


def _rtt(path: Path) -> float:
    return path.rtt.smoothed if path.rtt.smoothed is not None else 1.0
