"""
What a program of this machine is handed, in portions that its receive buffer has room for.

Source: measured with Debian's wireguard-go, whose buffer is that of every socket that asks for no more: 212992 bytes.
That is 92 datagrams of 1363 bytes; a busy client has several hundred in one turn, and lost a tenth of all there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from morphnet.net.inbox import Inboxes, Taken, charge

SHARE = 4  # a fourth of the room that is left is used without asking again: others may send to that program too
MOST, MOST_BYTES = 512, 1 << 20  # that wait for one program
MOST_HELD = 1 << 25  # bytes that wait for all: a client has hundreds of sockets to one that does not read
OWN = 64  # bytes of memory that each takes besides its own
PAUSE, LONGEST_PAUSE = 0.001, 0.064  # seconds until there may be room again; twice as long while nothing is read

Run = Sequence[bytes]


class Portions:
    """
    Those of one program, in their order.

    :param send: takes what may go now.
    :param inboxes: count what waits for all programs.
    :param taken: how full its buffer is; None when nobody knows, and then nothing waits.
    """

    def __init__(
        self,
        clock: IReactorTime,
        send: Callable[[Run], None],
        inboxes: Inboxes,
        taken: Callable[[], Taken | None],
    ) -> None:
        self._clock, self._send, self._inboxes, self._taken = clock, send, inboxes, taken
        self._waiting, self._bytes = list[bytes](), 0
        self._credit = 0  # bytes that may go before it is asked for again
        self._pause = PAUSE
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, batch: Run) -> int:
        """Hand these on, behind those that wait; answers with how many there was no place for."""
        if not self._waiting:
            cost = len(batch) * charge(max(map(len, batch)))
            if cost <= self._credit:
                self._credit -= cost
                self._send(batch)
                return 0
            told, self._credit = self._taken(), 0
            room = cost if told is None else told.most - told.taken
            if cost <= room:
                self._credit = (room - cost) // SHARE
                self._send(batch)
                return 0
            assert told is not None  # or there had been room
            batch = batch[self._send_fitting(batch, told) :]
        return self._keep(batch)

    def _keep(self, batch: Run) -> int:
        kept, before = 0, self._bytes
        most = min(MOST_BYTES, before + MOST_HELD - self._inboxes.held)
        for data in batch:
            if len(self._waiting) >= MOST or self._bytes + len(data) + OWN > most:
                break
            self._waiting.append(data)
            self._bytes += len(data) + OWN
            kept += 1
        self._inboxes.held += self._bytes - before
        if self._waiting and self._timer is None:
            self._timer = self._clock.callLater(self._pause, self._look)
        return len(batch) - kept

    def _send_fitting(self, batch: Run, told: Taken) -> int:
        """As many from the front as have room; how many. An empty buffer takes one, however large."""
        room, count = told.most - told.taken, 0
        for data in batch:
            room -= charge(len(data))
            if room < 0 and (count or told.taken):
                break
            count += 1
        if count:
            self._send(batch[:count])
        return count

    def _look(self) -> None:
        """Whether there is room by now."""
        self._timer = None
        batch, told = self._take_all(), self._taken()
        if told is None:
            self._send(batch)
            return
        count = self._send_fitting(batch, told)
        self._pause = PAUSE if count else min(2 * self._pause, LONGEST_PAUSE)
        self._keep(batch[count:])

    def _take_all(self) -> list[bytes]:
        self._inboxes.held -= self._bytes
        batch, self._waiting, self._bytes = self._waiting, [], 0
        return batch

    def close(self) -> None:
        """What waits is dropped."""
        self._take_all()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
