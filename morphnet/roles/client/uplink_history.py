"""Which uplinks there have been, and what became of those that are gone: for who wonders where one is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from morphnet.host.uplinks import Uplink, is_there
from morphnet.status import UplinkStatus

MOST_LOST = 16  # that are remembered; those that the configuration names are, in any case


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with an uplink."""

    state: str  # as in UplinkStatus
    since: float  # on the clock of who asks
    why: str


class UplinkHistory:
    """
    :param named: by the configuration.
    :param now: seconds.
    :param is_there: whether there is a device of that name.
    """

    def __init__(
        self, named: Sequence[str], now: Callable[[], float], is_there: Callable[[str], bool] = is_there
    ) -> None:
        self._named, self._now, self._is_there = named, now, is_there
        self._up: dict[str, Standing] = {}  # in the machine's order
        self._lost: dict[str, Standing] = {}  # the latest last
        self._told: list[str] | None = None  # the names of those that were up, the last time
        self._take(())

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> list[str] | None:
        """The machine has these now. Answers with the names of those that are up, if they are others than before."""
        self._take(uplinks)
        before, self._told = self._told, list(self._up)
        return self._told if self._told != before else None

    def _take(self, uplinks: Sequence[Uplink]) -> None:
        now, there = self._now(), {uplink.name: uplink for uplink in uplinks}
        up = {name: self._up.get(name, Standing("up", now, "")) for name, uplink in there.items() if uplink.up}
        for name in dict.fromkeys((*self._named, *self._up, *self._lost)):
            if name not in up:
                since = self._lost[name].since if name in self._lost else now
                self._lost[name] = Standing("lost", since, self._reason(name, there.get(name)))
        self._up = up
        self._lost = {name: each for name, each in self._lost.items() if name not in up}
        others = [name for name in self._lost if name not in self._named]
        for name in others[: max(0, len(others) - MOST_LOST)]:
            del self._lost[name]

    def _reason(self, name: str, uplink: Uplink | None) -> str:
        if uplink is not None:
            return "it is switched off, or has no carrier"
        if not self._is_there(name):
            return "there is no such device"
        return "it has no address" if name in self._named else "it has no address, or no default route"

    def statuses(self, idle: Mapping[str, Standing], dated: Callable[[float], float]) -> tuple[UplinkStatus, ...]:
        """
        All of them.

        :param idle: those that are there and not used.
        :param dated: Unix seconds of a moment.
        """
        standings = {**self._up, **idle, **self._lost}
        cut = {name for name in self._lost if name in idle and idle[name].state == "cut"}
        return tuple(
            UplinkStatus(name, each.state, dated(each.since), f"{each.why}, and is cut" if name in cut else each.why)
            for name, each in standings.items()
        )
