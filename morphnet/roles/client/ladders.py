"""Which shapes the paths over each uplink wear where that is to be found out: a ladder for each, and a memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from morphnet.host.uplinks import Uplink
from morphnet.rendezvous.ladder import Ladder, Phase, Seen
from morphnet.status import UplinkStatus
from morphnet.wire.shapes.shape import Shape


class Rung(NamedTuple):
    """What one socket is for."""

    uplink: str
    shape: str = ""  # "": as all of them
    opening: int = 0  # which one of this shape: a new one has another socket


class Memory(Protocol):
    """What worked on which network."""

    def recall(self, network: str) -> str:
        """The shape that worked there last; "" where that is not known."""
        ...

    def keep(self, network: str, shape: str) -> None:
        """That one works there."""
        ...


class NoMemory:
    """For who needs none."""

    def recall(self, network: str) -> str:
        return ""

    def keep(self, network: str, shape: str) -> None:
        pass


class Ladders:
    """
    :param now: seconds.
    :param tell: (kind, sentence) for the node's history.
    :param memory: outlives the process.
    :param chance: 0 .. 1, evenly.
    :param every: seconds, see Ladder.
    """

    def __init__(
        self,
        now: Callable[[], float],
        tell: Callable[[str, str], None],
        memory: Memory | None = None,
        chance: Callable[[], float] = lambda: 0.5,
        every: float = 600.0,
    ) -> None:
        self._now, self._tell, self._chance = now, tell, chance
        self._memory = memory or NoMemory()
        self.every = every
        self._rungs: dict[str, Shape | None] = {}  # that are to be tried, the cheapest first; none: nothing is
        self._networks: dict[str, str] = {}  # by uplink
        self._ladders: dict[str, Ladder] = {}  # by uplink
        self._told: dict[str, str] = {}  # what was said last of each
        self._changed = False  # others are to be tried than before
        self._closed = False  # nothing shall go by UDP

    def climb(self, rungs: Mapping[str, Shape | None]) -> None:
        """
        Find out on each uplink which of these gets through; of none, leave it.

        :param rungs: by name, the cheapest first; None stands for datagrams as they are.
        """
        if list(rungs.items()) != list(self._rungs.items()):
            self._rungs = dict(rungs)
            self._ladders.clear()
            self._told.clear()
            self._changed = True

    def close(self, closed: bool) -> None:
        """Whether no uplink shall have a path by UDP from now on."""
        if closed is not self._closed:
            self._closed, self._changed = closed, True

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> None:
        """The machine has these: what is known of one network says nothing of another one."""
        networks = {each.name: _network(each) for each in uplinks if each.up}
        for name in [name for name in self._ladders if networks.get(name) != self._networks.get(name)]:
            del self._ladders[name]
            self._told.pop(name, None)
        self._networks = networks

    def open_on(self, uplink: str) -> list[Rung]:
        """The paths that it shall have now."""
        if self._closed:
            return []
        if not self._rungs:
            return [Rung(uplink)]
        return [Rung(uplink, *each) for each in self._ladder(uplink).open.items()]

    def shape(self, rung: Rung) -> Shape | None:
        """What its path wears; None where that is for others to say, or nothing."""
        return self._rungs.get(rung.shape)

    def look(self, seen: Mapping[Rung, Seen], *, otherwise: bool) -> bool:
        """
        Decide; whether other paths shall be open now.

        :param otherwise: see Ladder.
        """
        changed, self._changed = self._changed, False
        for uplink in {rung.uplink for rung in seen} if self._rungs else ():
            ladder = self._ladder(uplink)
            before = dict(ladder.open)
            known = {
                rung.shape: how
                for rung, how in seen.items()
                if rung.uplink == uplink and before.get(rung.shape) == rung.opening
            }
            ladder.look(known, self._now(), otherwise=otherwise)
            changed |= ladder.open != before
            self._follow(uplink, ladder)
        return changed

    def shown(self, uplinks: Sequence[UplinkStatus]) -> tuple[UplinkStatus, ...]:
        """The same, with what gets through there."""
        return tuple(replace(each, shape=self._told.get(each.name, "")) for each in uplinks)

    def _ladder(self, uplink: str) -> Ladder:
        ladder = self._ladders.get(uplink)
        if ladder is None:
            home = self._memory.recall(self._networks.get(uplink, ""))
            ladder = Ladder(tuple(self._rungs), self.every, self._chance, self._now(), home)
            self._ladders[uplink] = ladder
        return ladder

    def _follow(self, uplink: str, ladder: Ladder) -> None:
        """Tell, and remember, what has been found."""
        found = {Phase.RESTING: "none", Phase.SEARCHING: ""}.get(ladder.phase, ladder.home)
        if not found or found == self._told.get(uplink):
            return
        self._told[uplink] = found
        if found == "none":
            self._tell("ladder", f"{uplink}: nothing gets through by UDP, whatever it looks like")
        else:
            self._tell("ladder", f"{uplink}: what goes to the server is {found}, the cheapest that gets through here")
            self._memory.keep(self._networks.get(uplink, ""), found)


def _network(uplink: Uplink) -> str:
    """How it is known again: by its device and gateways."""
    return " ".join((uplink.name, uplink.gateway4 or "-", uplink.gateway6 or "-"))
