"""A balancing client as `ops` sees it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence

from morphnet import __version__
from morphnet.config.roles import ClientConfig
from morphnet.net.pump import since_boot
from morphnet.ops.eventlog import EventLog
from morphnet.ops.headline import BALANCING, with_headline
from morphnet.ops.history import History
from morphnet.ops.verb import Verb
from morphnet.rendezvous.balance import behind_one
from morphnet.roles.process.reloading import Reloading
from morphnet.status import Happening, NodeStatus, UplinkStatus, by_kind

STARTING = "starting: no uplink has answered yet"
NONE = "no uplink leads out"


class BalanceNode:
    """
    A running balancing client.

    :param uplinks: how it stands with each.
    :param seen_at: at which addresses the world sees the uplinks, one dictionary for each family.
    """

    role = "client"

    def __init__(
        self,
        config: ClientConfig,
        uplinks: Callable[[], tuple[UplinkStatus, ...]],
        seen_at: Callable[[], Sequence[dict[str, str]]],
        reloading: Reloading[ClientConfig] | None = None,
        wall: Callable[[], float] = time.time,
        now: Callable[[], float] = since_boot,
    ) -> None:
        self.config, self.name, self.state = config, config.name, STARTING
        self.history = History(wall, said=EventLog(now).say)
        self.host_warnings: Callable[[], tuple[str, ...]] = tuple
        self.counts = {"balance_changes": 0, "balance_resets": 0}
        self._uplinks, self._seen_at, self._reloading = uplinks, seen_at, reloading
        self._wall, self._now, self._started_at = wall, now, now()
        self._shared: tuple[str, ...] = ()  # sentences that were told
        self._left_out = frozenset[int]()

    def shares_are(self, parts: Sequence[dict[str, int]]) -> None:
        """What each uplink gets of new flows, one dictionary for each family."""
        names = dict.fromkeys(name for each in parts for name in each)
        self.state = f"{BALANCING} {', '.join(names)}" if names else NONE

    def left_out_are(self, families: frozenset[int]) -> None:
        """Those in which somebody else has rules that come first; tell what is new about it."""
        new, self._left_out = families - self._left_out, families
        for each in sorted(new):
            self.tell("rules-first", "", _rules_first(each))

    def look_at_addresses(self) -> None:
        """Tell what is new about uplinks that are behind one address."""
        found = self._behind_one()
        for each in found:
            if each not in self._shared:
                self.tell("uplinks-shared", "", each)
        self._shared = found

    def _behind_one(self) -> tuple[str, ...]:
        return tuple(
            f"{' and '.join(names)} are both seen at {address}: behind that they are one, and fall together"
            for seen in self._seen_at()
            for address, names in behind_one(seen)
        )

    def status(self) -> NodeStatus:
        """The whole client, now."""
        counters, levels = by_kind(self.counts)
        picture = NodeStatus(
            role=self.role,
            name=self.name,
            version=__version__,
            pid=os.getpid(),
            started_at=self.dated(self._started_at),
            core="",
            offloads=(),
            listening=(),
            state=self.state,
            sessions=(),
            counters=counters,
            levels=levels,
            uplinks=self._uplinks(),
            warnings=(*self._behind_one(), *map(_rules_first, sorted(self._left_out)), *self.host_warnings()),
            sections=(),
        )
        return with_headline(picture)

    def dated(self, moment: float) -> float:
        """Unix seconds of a moment on our clock."""
        return self._wall() - (self._now() - moment)

    def happenings(self, after: int) -> list[Happening]:
        """What happened since number `after`."""
        return self.history.after(after)

    def tell(self, kind: str, session: str, text: str) -> None:
        """Add one line to the history."""
        self.history.add(kind, session, text)

    def reload(self) -> str:
        """Read the settings again."""
        return self._reloading.reload(self) if self._reloading is not None else "there is nothing to read again"

    def reconfigure(self, config: ClientConfig, keys: Collection[str]) -> str:
        """Live by these settings: there are none that could be changed."""
        return ""

    def verbs(self) -> Sequence[Verb]:
        """What can be asked of it."""
        return (Verb("reload", "Read the settings again; tell what needs a restart.", (), self.reload),)


def _rules_first(family: int) -> str:
    return (
        f"IPv{family}: somebody else's rules (a VPN's?) were there first and stay first; what this machine forwards is"
        f" not dealt out: ip -{family} rule"
    )
