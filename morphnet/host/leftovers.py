"""What a process that was killed has left on this machine, as far as an operator has to know before the next start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from morphnet.host.host import KINDS, this_world
from morphnet.host.journal import decode_journal
from morphnet.host.strict import StrictTable


def holds_back(journal: Path, world: Callable[[], str] = this_world) -> bool:
    """Whether a kill switch stands here by that journal, which says nothing to who may not read it."""
    try:
        written_in, standing = decode_journal(journal.read_bytes(), KINDS)
    except OSError:
        return False
    return written_in == world() and any(isinstance(each.change, StrictTable) for each in standing)
