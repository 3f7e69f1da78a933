"""Each uplink is asked whether it leads out, each family by itself: what `rendezvous/balance` decides, at the doors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from morphnet.config.balance import BalanceConfig
from morphnet.host.uplinks import Uplink
from morphnet.net.probe import Listener
from morphnet.rendezvous.balance import PORTAL, Check, Health, Question, State, Verdict
from morphnet.wire.uplink_checks import NOWHERE4, NOWHERE6

NO_CARRIER, GONE, NO_WAY = "it is switched off, or has no carrier", "there is no such device", "it has no default route"
LEAST_EVERY = 0.2  # seconds between questions, whatever the configuration says
WHO_EVERY = 60.0  # seconds between questions for the address that we are seen at


class Door(Protocol):
    """What asks by one uplink, see `net.probe.Prober`."""

    def open(self) -> None: ...
    def ask(self, question: Question) -> None: ...
    def ask_who(self, target: str) -> None: ...
    def close(self) -> None: ...


Open = Callable[[str, int, Listener], Door]
"""Makes one: name of the device, family, and who is told."""


@dataclass(frozen=True, slots=True)
class Change:
    """An uplink leads out in one family from now on, or does not any more."""

    device: str
    family: int
    up: bool
    why: str  # "" where it is up
    was: State


class Watched:
    """
    One uplink in one family.

    :param changed: told when its state is another.
    """

    def __init__(
        self,
        clock: IReactorTime,
        checks: Sequence[Check],
        config: BalanceConfig,
        open_door: Callable[[Listener], Door],
        changed: Callable[[State, Health], None],
    ) -> None:
        nowhere = Check(NOWHERE6 if ":" in checks[0].target else NOWHERE4, PORTAL)
        self.health = Health(checks, nowhere if config.portal else None, max(LEAST_EVERY, config.every_s))
        self._clock, self._changed, self._told = clock, changed, State.UNTRIED
        self._who = [each.target for each in checks if each.method == "dns"] or [checks[0].target]
        self._who_at = float("-inf")
        self._timer: IDelayedCall | None = None
        self._open, self._door = open_door, open_door(self)
        self.address = ""  # at which the world sees it; "" while it is not known

    def start(self) -> None:
        """Ask."""
        self._door.open()
        self._look()

    def stop(self) -> None:
        """Nothing is asked or told after this."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._door.close()
        self._changed = lambda was, health: None

    def lost(self, why: str) -> None:
        """It is not there, or leads nowhere; nothing is asked until `renew`."""
        self.health.lost(why, self._clock.seconds())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.address = ""
        self._tell()

    def renew(self) -> None:
        """It is there again, or another network: sockets of before may have the wrong address."""
        self._door.close()
        self._door = self._open(self)
        self._door.open()
        self.address, self._who_at = "", float("-inf")
        self.health.changed(self._clock.seconds())
        self._look()

    def _look_soon(self) -> None:
        """A busy reactor has timers run before it reads what has come: what is there already is an answer in time."""
        self._timer = self._clock.callLater(0, self._look)

    def _look(self) -> None:
        if self._timer is not None and self._timer.active():  # another network, before it was due
            self._timer.cancel()
        self._timer = None
        now = self._clock.seconds()
        for question in self.health.look(now):
            self._door.ask(question)
        self._tell()
        if self.health.state is State.UP and now >= self._who_at:
            self._who_at = now + WHO_EVERY
            for target in dict.fromkeys(self._who):
                self._door.ask_who(target)
        self._look_at(self.health.next_at, now)

    def _look_at(self, moment: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.callLater(max(0.0, moment - now), self._look_soon)

    def _tell(self) -> None:
        was, self._told = self._told, self.health.state
        if was is not self._told:
            self._changed(was, self.health)

    def _heard(self) -> None:
        """An answer has come: look again, if anything is looked for."""
        if self._timer is not None:
            self._look_at(self.health.next_at, self._clock.seconds())
            self._tell()

    # -- what the door tells

    def answered(self, number: int) -> None:
        """The target has answered."""
        self.health.answered(number, self._clock.seconds())
        self._heard()

    def refused(self, number: int) -> None:
        """Nobody will answer that."""
        self.health.refused(number, self._clock.seconds())
        self._heard()

    def nobody(self, number: int, verdict: Verdict) -> None:
        """What the address says that nobody has."""
        self.health.nobody(number, verdict, self._clock.seconds())
        self._heard()

    def seen_at(self, address: str) -> None:
        """The address at which the world sees this uplink."""
        self.address = address


class Watching:
    """
    All uplinks.

    :param changed: told of each change, after which `up` holds.
    """

    def __init__(
        self, clock: IReactorTime, config: BalanceConfig, open_door: Open, changed: Callable[[Change], None]
    ) -> None:
        self._clock, self._config, self._open, self._changed = clock, config, open_door, changed
        self._watched: dict[tuple[str, int], Watched] = {}
        self._uplinks: dict[str, Uplink] = {}

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> None:
        """The machine has these now."""
        before, self._uplinks = self._uplinks, {each.name: each for each in uplinks}
        for name in {**before, **self._uplinks}:
            for family in (4, 6):
                self._follow(name, family, before.get(name))

    def _follow(self, name: str, family: int, before: Uplink | None) -> None:
        uplink, watched = self._uplinks.get(name), self._watched.get((name, family))
        why = _useless(uplink, family)
        if why:
            if watched is not None:
                watched.lost(why)
        elif watched is None:
            self._begin(name, family)
        elif _useless(before, family) or _network(uplink, family) != _network(before, family):
            watched.renew()

    def _begin(self, name: str, family: int) -> None:
        targets = [each for each in self._config.targets if (":" in each) == (family == 6)]
        if not targets:
            return
        checks = [Check(target, method) for target in targets for method in dict.fromkeys(self._config.methods)]

        def changed(was: State, health: Health) -> None:
            self._changed(Change(name, family, health.state is State.UP, health.why, was))

        watched = Watched(
            self._clock, checks, self._config, lambda listener: self._open(name, family, listener), changed
        )
        self._watched[name, family] = watched
        watched.start()

    def up(self, family: int) -> list[str]:
        """The uplinks that lead out, in the machine's order."""
        return [name for name in self._uplinks if self._is(name, family, State.UP)]

    def untried(self, family: int) -> list[str]:
        """Those of which nothing is known yet."""
        return [name for name in self._uplinks if self._is(name, family, State.UNTRIED)]

    def _is(self, name: str, family: int, state: State) -> bool:
        watched = self._watched.get((name, family))
        return watched is not None and watched.health.state is state

    def health(self) -> dict[tuple[str, int], Health]:
        """Of each uplink and family that was ever asked."""
        return {key: each.health for key, each in self._watched.items()}

    def seen_at(self, family: int) -> dict[str, str]:
        """At which address the world sees each uplink."""
        return {name: each.address for (name, kind), each in self._watched.items() if kind == family}

    def stop(self) -> None:
        """Nothing is asked or told after this."""
        for each in self._watched.values():
            each.stop()


def _useless(uplink: Uplink | None, family: int) -> str:
    """Why nobody need be asked by that; "" if it has to be tried."""
    if uplink is None:
        return GONE
    if not uplink.up:
        return NO_CARRIER
    gateway, addresses = _network(uplink, family)
    return "" if gateway is not None and addresses else NO_WAY


def _network(uplink: Uplink | None, family: int) -> tuple[str | None, tuple[str, ...]]:
    if uplink is None:
        return None, ()
    if family == 4:
        return uplink.gateway4, uplink.addresses4
    return uplink.gateway6, uplink.addresses6
