"""What each uplink gets of new flows, and how that is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from morphnet.rendezvous.balance import Capacity, State, measured_weights, shares
from morphnet.roles.balance.watching import Watching
from morphnet.status import UplinkStatus


class Standings:
    """
    :param weights: as configured; where there are none, they are measured.
    :param last: uplinks to use only while no other leads out.
    :param now: seconds.
    """

    def __init__(
        self, watching: Watching, weights: Mapping[str, int], last: Sequence[str], now: Callable[[], float]
    ) -> None:
        self._watching, self._weights, self._last, self._now = watching, weights, last, now
        self._capacities: dict[str, Capacity] = {}
        self._dealt: list[dict[str, int]] = [{}, {}]
        self._since: dict[str, tuple[str, float]] = {}  # state, and when it began, by uplink
        self.dated: Callable[[float], float] = lambda moment: moment  # Unix seconds of a moment

    def measure(self, counts: Mapping[str, int]) -> None:
        """:param counts: bytes that each device has received."""
        for name in {name for name, _ in self._watching.health()} & set(counts):
            self._capacities.setdefault(name, Capacity()).add(counts[name], self._now())

    def shares(self) -> list[dict[str, int]]:
        """For IPv4 and IPv6: what each uplink gets from now on."""
        self._dealt = self._fresh()
        return self._dealt

    def changed(self) -> bool:
        """Whether it would be something else now."""
        return self._fresh() != self._dealt

    def _fresh(self) -> list[dict[str, int]]:
        found = []
        for family in (4, 6):
            up = self._watching.up(family)
            peaks = {name: self._capacities.get(name, Capacity()).peak for name in up}
            found.append(shares(up, self._weights or measured_weights(peaks), self._last))
        return found

    def statuses(self) -> tuple[UplinkStatus, ...]:
        """Each uplink there is or was; up if it leads out in one family at least."""
        health = self._watching.health()
        return tuple(self._status(name) for name in dict.fromkeys(name for name, _ in health))

    def _status(self, name: str) -> UplinkStatus:
        own = {family: each for (device, family), each in self._watching.health().items() if device == name}
        up = [family for family, each in own.items() if each.state is State.UP]
        state = "up" if up else "lost"
        if self._since.get(name, ("", 0.0))[0] != state:
            self._since[name] = state, self._now()
        why = "" if up else "; ".join(dict.fromkeys(each.why for each in own.values()))
        return UplinkStatus(name, state, self.dated(self._since[name][1]), why, self._share(name, up) if up else "")

    def _share(self, name: str, up: Sequence[int]) -> str:
        words = [self._part(name, family) for family in up]
        health = self._watching.health()
        words += [f"IPv{family} {each.why}" for (device, family), each in health.items() if device == name and each.why]
        rtts = [each.rtt for (device, _), each in health.items() if device == name and each.rtt is not None]
        words += [f"{min(rtts) * 1000:.0f} ms"] if rtts else []
        seen = [self._watching.seen_at(family).get(name, "") for family in (4, 6)]
        return ", ".join([*words, *(f"seen at {each}" for each in seen if each)])

    def _part(self, name: str, family: int) -> str:
        parts = self._dealt[0 if family == 4 else 1]
        if name not in parts:
            return f"IPv{family} as the last"
        return f"IPv{family} {parts[name]} of {sum(parts.values())}"
