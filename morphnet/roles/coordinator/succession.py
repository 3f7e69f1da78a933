"""Where homes go from here: to another coordinator, when the operator says so; to fallbacks while we are silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from morphnet.errors import ConfigError
from morphnet.rendezvous.home.registry import Registry
from morphnet.status import MoveStatus
from morphnet.wire.messages.home.calls import MOST_FALLBACKS, Fallbacks, Move, Moved
from morphnet.wire.messages.home.invitation import Invitation

FILE = "fallbacks"  # its name in state_dir: a line of an invitation each, best first
ALL = "all"
ANSWER_WITHIN = 40.0  # seconds for a home to move: it gives the other coordinator 20


def read_fallbacks(state_dir: Path) -> tuple[str, ...]:
    """
    Lines that homes are told.

    :raises ConfigError: one is no invitation, or there are too many.
    """
    file = state_dir / FILE
    try:
        lines = tuple(line.strip() for line in file.read_text().splitlines() if line.strip())
    except FileNotFoundError:
        return ()
    except (OSError, ValueError):
        raise ConfigError(f"{file} cannot be read") from None
    if len(lines) > MOST_FALLBACKS:
        raise ConfigError(f"{file} has more than {MOST_FALLBACKS} lines")
    for line in lines:
        Invitation.read(line)
    return lines


class _Moving:
    """What the operator has asked for once."""

    def __init__(self, to: Invitation, homes: set[str], done: Deferred[MoveStatus]) -> None:
        self.to, self.waiting, self.done = to, homes, done
        self.moved: list[str] = []
        self.stayed: list[str] = []
        self.timer: IDelayedCall | None = None

    def over(self) -> None:
        """All have said something, or had their time."""
        self.stayed += [f"{home}: no answer" for home in sorted(self.waiting)]
        self.waiting.clear()
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        if not self.done.called:
            self.done.callback(MoveStatus(self.to.coordinator, tuple(self.moved), tuple(self.stayed)))


class Succession:
    """
    Of one coordinator.

    :param tell: takes kind, home and text of what has happened.
    """

    def __init__(
        self, clock: IReactorTime, registry: Registry, state_dir: Path, tell: Callable[[str, str, str], None]
    ) -> None:
        """:raises ConfigError: what is in `state_dir` is no list of fallbacks."""
        self._clock, self._registry, self._state_dir, self._tell = clock, registry, state_dir, tell
        self._moves: dict[int, _Moving] = {}
        self._number = 0
        self.fallbacks = read_fallbacks(state_dir)
        registry.moved = self._answered

    @property
    def others(self) -> tuple[Invitation, ...]:
        """The fallbacks."""
        return tuple(map(Invitation.read, self.fallbacks))

    def came(self, home: str) -> None:
        """This one has registered: it is told where else it may."""
        if self.fallbacks:
            self._registry.tell(home, Fallbacks(self.fallbacks))

    def read_again(self) -> None:
        """
        The file may be another one; all homes are told.

        :raises ConfigError: it is none; everything stays as it is.
        """
        before, self.fallbacks = self.fallbacks, read_fallbacks(self._state_dir)
        if self.fallbacks != before:
            for home in self._registry.homes():
                self._registry.tell(home.key, Fallbacks(self.fallbacks))

    def move(self, home: str, to: str) -> Deferred[MoveStatus]:
        """
        Have a home, or all of them, register elsewhere; what came of it, when each has answered.

        :param home: its key or the beginning of it, 8 characters at least; "all".
        :param to: an invitation of the other coordinator.
        :raises ConfigError: that home is not here, or that is no invitation.
        """
        target, homes = Invitation.read(to), self._meant(home)
        self._number += 1
        moving = _Moving(target, set(homes), Deferred(lambda _: None))
        self._moves[self._number] = moving
        moving.timer = self._clock.callLater(ANSWER_WITHIN, self._over, self._number)
        for each in homes:
            if not self._registry.tell(each, Move(self._number, to)):
                self._answered(each, Moved(self._number, "too much is on its way to it"))
        return moving.done

    def _meant(self, home: str) -> list[str]:
        keys = [each.key for each in self._registry.homes()]
        found = keys if home == ALL else [key for key in keys if len(home) >= 8 and key.startswith(home)]
        if not found:
            raise ConfigError("no home is registered here" if home == ALL else "that home is not registered here")
        return found

    def _answered(self, home: str, said: Moved) -> None:
        moving = self._moves.get(said.number)
        if moving is None or home not in moving.waiting:
            return
        moving.waiting.discard(home)
        if said.trouble:
            moving.stayed.append(f"{home}: {said.trouble}")
            self._tell("home", home[:8], f"not moved to {moving.to.coordinator}: {said.trouble}")
        else:
            moving.moved.append(home)
            self._tell("home", home[:8], f"moved to {moving.to.coordinator}")
        if not moving.waiting:
            self._over(said.number)

    def _over(self, number: int) -> None:
        self._moves.pop(number).over()

    def end(self) -> None:
        """We stop: nobody is waited for any more."""
        for number in list(self._moves):
            self._over(number)
