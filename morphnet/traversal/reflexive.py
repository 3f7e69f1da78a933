"""
What NATs make of the addresses of our sockets: asked of one relay's echo, again and again, since a mapping may change.

Pure, as all of the data plane. Source: docs/protocol section 11; RFC 4787 section 4 for what a NAT may do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from morphnet.errors import PeerError
from morphnet.tunnel.events import Effects, Mapped
from morphnet.wire.batch import Arrival, Departure, Endpoint
from morphnet.wire.echo import TRANSACTION, make_request, read_answer

REPEAT = 20.0  # seconds between two requests of one socket: most NATs forget a mapping after 30 s at the soonest
DEAF = 1.0  # seconds, and three requests, without any answer to a socket: nothing passes
IMPATIENT = 0.25  # seconds, for the first answer; then twice as long each time, up to REPEAT


@dataclass(slots=True)
class _Socket:
    """One of ours."""

    number: int  # by which the relay tells it from the others
    since: float  # when it was first asked by
    next_at: float
    pause: float = IMPATIENT
    asked: dict[bytes, tuple[int, float]] = field(default_factory=dict)  # transaction -> (which port, when)
    seen: dict[int, Endpoint] = field(default_factory=dict)  # which port -> as what it saw us
    rtt: float | None = None
    answered_at: float = float("-inf")


class ReflexiveClient:
    """
    One relay's echo.

    :param ports: UDP ports of the relay, the first is asked again and again, the others once to compare.
    :param echo_id: 8 bytes, likewise `key`, 32 bytes: what the relay gave us.
    """

    def __init__(
        self, host: str, ports: tuple[int, ...], echo_id: bytes, key: bytes, entropy: Callable[[int], bytes]
    ) -> None:
        self.host, self.ports, self.id = host, ports, echo_id
        self.sockets: dict[int, _Socket] = {}  # by number of the door
        self.forged = self._turn = 0
        self._key, self._entropy = key, entropy

    def use(self, doors: dict[int, bool], now: float) -> None:
        """
        Our sockets are these.

        :param doors: number, and whether it is IPv6.
        """
        six = ":" in self.host
        wanted = {door for door, is_six in doors.items() if is_six == six}
        self.sockets = {door: socket for door, socket in self.sockets.items() if door in wanted}
        for door in sorted(wanted - self.sockets.keys()):
            taken = {socket.number for socket in self.sockets.values()}
            number = next(each for each in range(len(taken) + 1) if each not in taken)
            self.sockets[door] = _Socket(number, now, now)

    def hurry(self, now: float) -> None:
        """Ask anew: it is about to be of use, and may have changed."""
        for socket in self.sockets.values():
            socket.next_at, socket.pause = now, IMPATIENT

    def rtt(self) -> float | None:
        """Seconds to the relay and back, by the quickest socket; None while it has not answered."""
        return min((socket.rtt for socket in self.sockets.values() if socket.rtt is not None), default=None)

    def is_deaf(self, now: float) -> bool:
        """Whether not one socket was ever answered, though each had the time."""
        waited = all(now - socket.since >= DEAF for socket in self.sockets.values())
        return bool(self.sockets) and waited and all(not socket.seen for socket in self.sockets.values())

    def due_at(self) -> float:
        """When `tick` has something to do."""
        return min((socket.next_at for socket in self.sockets.values()), default=float("inf"))

    def tick(self, now: float, effects: Effects) -> None:
        """Ask where it is time."""
        for door, socket in self.sockets.items():
            if socket.next_at > now:
                continue
            socket.asked = {key: value for key, value in socket.asked.items() if now - value[1] < REPEAT}
            for which, port in enumerate(self.ports):
                if which and which in socket.seen:
                    continue
                transaction, self._turn = self._entropy(TRANSACTION), self._turn + 1
                socket.asked[transaction] = which, now
                datagram = make_request(self.id, self._key, transaction, socket.number, self._turn)
                effects.sends.append(Departure(door, Endpoint(self.host, port), datagram, len(datagram)))
            socket.next_at = now + socket.pause
            socket.pause = min(REPEAT, 2 * socket.pause)

    def received(self, arrival: Arrival, datagram: bytes, now: float, effects: Effects) -> None:
        """A datagram that starts with our id."""
        socket = self.sockets.get(arrival.door)
        try:
            echoed = read_answer(datagram, self._key)
        except PeerError:
            self.forged += 1
            return
        asked = socket.asked.pop(echoed.transaction, None) if socket is not None else None
        if socket is None or asked is None:
            return
        which, at = asked
        socket.answered_at = now
        socket.rtt = min(now - at, socket.rtt or float("inf"))
        seen = Endpoint(echoed.host, echoed.port)
        before = socket.seen.get(which)
        socket.seen[which] = seen
        if not which:
            socket.next_at, socket.pause = now + REPEAT, REPEAT
            if seen != before:
                socket.seen = socket.seen if before is None else {which: seen}  # what the others saw is over
                effects.events.append(Mapped(self.host, arrival.door, seen))

    def varying(self) -> list[Endpoint]:
        """What we are seen as through NATs that map each destination anew."""
        return [socket.seen[0] for door, socket in self.sockets.items() if self.varies(door) and 0 in socket.seen]

    def varies(self, door: int) -> bool | None:
        """Whether a NAT maps that socket anew for each destination; None while that is not known."""
        socket = self.sockets.get(door)
        if socket is None or len(socket.seen) < 2:
            return None
        return len(set(socket.seen.values())) > 1
