"""What a running process lets `ops` see and touch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from morphnet.ops.verb import Verb
from morphnet.status import Happening, NodeStatus


class Node(Protocol):
    """A running process; `tap` makes one and hands it to the feed and the manhole."""

    @property
    def role(self) -> str:
        """As in NodeStatus."""
        ...

    def status(self) -> NodeStatus:
        """The whole node, now."""
        ...

    def happenings(self, after: int) -> list[Happening]:
        """What happened since number `after`, oldest first; 0 for all that is remembered."""
        ...

    def verbs(self) -> Sequence[Verb]:
        """What it does when it is asked; always the same ones."""
        ...
