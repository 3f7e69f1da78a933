"""
Every place where bytes that somebody else wrote are read.

A new parser gets its row in one of the tables (tests/fuzz/test_targets.py finds it), and is then fuzzed by `make fuzz`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from morphnet.errors import ConfigError
from tests.fuzz.datagrams import DATAGRAMS
from tests.fuzz.files import FILES, SIGNED
from tests.fuzz.homes import HOMES
from tests.fuzz.messages import MESSAGES
from tests.fuzz.names import NAMES
from tests.fuzz.target import Target


def targets() -> dict[str, Target]:
    """All of them, by name."""
    return {each.name: each for each in itertools.chain(MESSAGES, DATAGRAMS, NAMES, HOMES, FILES, SIGNED)}


def named(names: Iterable[str]) -> list[Target]:
    """
    Those, or all if none is named.

    :raises ConfigError: there is no such target.
    """
    known = targets()
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no target {name!r}; known are: {', '.join(known)}")
    return [known[name] for name in names] or list(known.values())
