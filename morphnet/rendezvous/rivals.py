"""
Two machines with one certificate: a disk was cloned, or a backup restored elsewhere.

The one that is there stays, as long as it shows life; the other one is turned away, ever less often, and both are told
why. Whoever comes is first taken for the same machine, started anew while its old link is not over yet: so the first
time it only has to wait until the old link has failed to show life.
"""

from __future__ import annotations

from dataclasses import dataclass

PROVE_WITHIN = 2.0  # seconds that a link has to show life when another machine comes with its name
COME_AGAIN = 3.0  # seconds after which that one may ask again, the first times
SELDOM = 30.0  # the same, at the most
TELL_EVERY = 10.0  # seconds between two lines about one name
OVER_AFTER = 3 * SELDOM  # seconds without the other machine, after which there is none
MOST = 1024  # names that are remembered; the oldest make room

FIRST = "this name is here already: it is asked for a sign of life"
CLONED = "another machine is here with the same certificate: if one was cloned, let it join anew, by a name of its own"


@dataclass(frozen=True, slots=True)
class Turned:
    """What to say to the machine that came second."""

    reason: str
    retry_after: float  # seconds
    tell: bool  # whether others shall hear of it: the machine that is there, and the operator


@dataclass(slots=True)
class _Case:
    times: int = 0  # that it was turned away
    at: float = 0.0  # when it was last
    told_at: float = float("-inf")


class Rivals:
    """Which names are claimed by two. Time is an argument, in seconds."""

    def __init__(self) -> None:
        self._cases: dict[str, _Case] = {}

    def turned(self, name: str, now: float) -> Turned:
        """A machine came, while another one has its name."""
        case = self._cases.pop(name, None)
        if case is None or now - case.at > OVER_AFTER:
            case = _Case()
        self._cases[name] = case
        while len(self._cases) > MOST:
            del self._cases[next(iter(self._cases))]
        case.times, case.at = case.times + 1, now
        again = min(COME_AGAIN * 2.0 ** max(0, case.times - 2), SELDOM)
        if case.times == 1:
            return Turned(FIRST, again, tell=False)
        tell = now - case.told_at >= TELL_EVERY
        if tell:
            case.told_at = now
        return Turned(CLONED, again, tell)

    def settled(self, name: str) -> None:
        """A machine of that name was let in."""
        self._cases.pop(name, None)

    def warnings(self, now: float) -> tuple[str, ...]:
        """A sentence for each name that two machines claim now."""
        names = sorted(name for name, case in self._cases.items() if case.times > 1 and now - case.at <= OVER_AFTER)
        return tuple(f"two machines use the certificate of {name}: was one cloned?" for name in names)
