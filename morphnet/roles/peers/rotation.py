"""Another socket in time, where a NAT ends every mapping after a while, however it is used (C5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from morphnet.traversal.lifespan import Lifespan
from morphnet.wire.batch import Endpoint

LET_GO, CHECKS = 5.0, 6  # seconds after which the socket before is closed, if no path needs it; or later, at last

Key = tuple[str, str]  # uplink, and the address of ours on it


class Sockets(Protocol):
    """`PeerSockets`, as far as it matters here."""

    def numbers(self) -> Mapping[Key, int]:
        """Of the sockets that are not on their way out."""
        ...

    def replace(self, key: Key) -> int | None:
        """Open another one; answers with the number of the one before, which stays open until `let_go`."""
        ...

    def let_go(self, number: int) -> None:
        """Close a socket that was replaced."""
        ...


class Rotation:
    """
    Knows what every uplink's NAT does to mappings, and replaces sockets before theirs end.

    :param helps: whether another socket would be of use, by the number of the one there is.
    :param in_use: numbers of the sockets that working paths need.
    :param tell: called with a sentence when such a NAT is found out.
    """

    def __init__(
        self,
        clock: IReactorTime,
        sockets: Sockets,
        helps: Callable[[int], bool],
        in_use: Callable[[], set[int]],
        tell: Callable[[str], None],
    ) -> None:
        self._clock, self._sockets, self._helps, self._in_use, self._tell = clock, sockets, helps, in_use, tell
        self._known: dict[Key, tuple[int, Lifespan]] = {}  # with the number of the socket
        self._timer: IDelayedCall | None = None
        self._leaving: dict[int, IDelayedCall] = {}  # by number

    def sockets_are(self) -> None:
        """There are other sockets than before."""
        now, before, self._known = self._clock.seconds(), self._known, {}
        for key, number in self._sockets.numbers().items():
            known, lifespan = before.get(key, (None, Lifespan()))
            if known != number:
                lifespan.opened(now)
            self._known[key] = number, lifespan
        self._wait()

    def seen_as(self, number: int, seen: Endpoint) -> None:
        """A relay sees that socket there."""
        for (uplink, _), (known, lifespan) in self._known.items():
            if known == number:
                before = lifespan.seconds
                lifespan.seen_as(seen, self._clock.seconds())
                if before is None and lifespan.seconds is not None:
                    what = f"the NAT on {uplink} ends a mapping after {lifespan.seconds:.0f} s, however it is used"
                    self._tell(f"{what}: other sockets take over in time")
        self._wait()

    def stop(self) -> None:
        """Replace no more, and close nothing."""
        for timer in (self._timer, *self._leaving.values()):
            if timer is not None and timer.active():
                timer.cancel()

    def _wait(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        due = min((lifespan.due_at() for _, lifespan in self._known.values()), default=float("inf"))
        if due < float("inf"):
            self._timer = self._clock.callLater(max(0.0, due - self._clock.seconds()), self._rotate)

    def _rotate(self) -> None:
        now = self._clock.seconds()
        for key, (number, lifespan) in list(self._known.items()):
            if lifespan.due_at() > now:
                continue
            lifespan.opened(now)  # if nothing comes of it, the next time is as far away
            if self._helps(number) and self._sockets.replace(key) is not None:
                self._leaving[number] = self._clock.callLater(LET_GO, self._check, number, CHECKS)
        self._wait()

    def _check(self, number: int, left: int) -> None:
        """Paths have moved, or will not."""
        if left and number in self._in_use():
            self._leaving[number] = self._clock.callLater(LET_GO, self._check, number, left - 1)
        else:
            del self._leaving[number]
            self._sockets.let_go(number)
