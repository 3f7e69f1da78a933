"""
Two machines with one certificate: a disk was cloned, or a backup restored elsewhere.

The one that is there stays, as long as it shows life; the other one is turned away, ever less often, and both are told
why. The same machine that was started anew, as its instance tells, takes over at once: its old link may not be over
yet. A machine that was itself started anew is not told from another one: the first time it only has to wait until the
old link has failed to show life.
"""

from __future__ import annotations

from dataclasses import dataclass

PROVE_WITHIN = 2.0  # seconds that a link has to show life when another machine comes with its name
COME_AGAIN = 3.0  # seconds after which that one may ask again, the first times
SELDOM = 30.0  # the same, at the most
TELL_EVERY = 10.0  # seconds between two lines about one name
OVER_AFTER = 3 * SELDOM  # seconds without the other machine, after which there is none
MACHINE = 8  # the first digits of an instance: of the machine and of the place there that it has its records in
MOST = 1024  # names that are remembered; the oldest make room

FIRST = "this name is here already: it is asked for a sign of life"
CLONED = "another machine is here with the same certificate: if one was cloned, let it join anew, by a name of its own"

_Claim = tuple[str, str]  # a network, "" where there is but one, and a name in it


def is_same_machine(one: str, other: str) -> bool:
    """Whether two instances are of one machine, see `new_instance`."""
    return bool(one[:MACHINE]) and one[:MACHINE] == other[:MACHINE]


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
    """Which names are claimed by two; one name in two networks is two. Time is an argument, in seconds."""

    def __init__(self) -> None:
        self._cases: dict[_Claim, _Case] = {}
        self._left: dict[_Claim, str] = {}  # the instance that another one of its machine has taken the name over from

    def takes_over(self, name: str, here: str, comes: str, network: str = "") -> bool:
        """
        Whether instance `comes` has the name from now on, in the place of `here`: it is itself, or the same machine
        started anew. One that was taken over from and comes again has never ended: then there are two, as when a
        running virtual machine was copied.
        """
        if here == comes:
            return True
        claim = network, name
        if not is_same_machine(here, comes) or self._left.get(claim) == comes:
            return False
        self._left.pop(claim, None)
        self._left[claim] = here
        while len(self._left) > MOST:
            del self._left[next(iter(self._left))]
        return True

    def turned(self, name: str, now: float, network: str = "") -> Turned:
        """A machine came, while another one has its name."""
        claim = network, name
        case = self._cases.pop(claim, None)
        if case is None or now - case.at > OVER_AFTER:
            case = _Case()
        self._cases[claim] = case
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

    def settled(self, name: str, network: str = "") -> None:
        """A machine of that name was let in."""
        self._cases.pop((network, name), None)

    def warnings(self, now: float) -> tuple[str, ...]:
        """A sentence for each name that two machines claim now."""
        cases = self._cases.items()
        names = sorted(name for (_, name), case in cases if case.times > 1 and now - case.at <= OVER_AFTER)
        return tuple(f"two machines use the certificate of {name}: was one cloned?" for name in names)
