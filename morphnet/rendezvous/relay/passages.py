"""
Passages: a client and a server of its network that both call the relay are joined, end to end.

What goes through is a TLS connection of theirs, which the relay does not read and could not. Who is asked for, who has
come, how many there may be and what they may carry is here; the sockets are elsewhere.

Source: docs/protocol section 11.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from morphnet.errors import Refused
from morphnet.rendezvous.relay.members import Line
from morphnet.rendezvous.relay.registry import BURST, SHORTEST_PAUSE
from morphnet.wire.messages.relay import Asked, Joined, TurnedAway

TOKEN = 16  # bytes
WAIT = 5.0  # seconds that a client waits for the server to come
MOST = 512  # passages at once, those that wait as well
MOST_OF_ONE = 4  # of one client
NOBODY_COMES = "the server does not come"
NO_SERVER = "no server of your network is at this relay"
WHICH_SERVER = "several servers of your network are at this relay, none of that name or address: set `server_name`"
AMBIGUOUS = "several servers of your network are at this relay with that name: call one of them by its own"


@dataclass(eq=False, slots=True)
class Purse:
    """What the passages of one client may carry now, both ways, in bytes."""

    credit: float
    at: float  # when that was so, seconds


@dataclass(eq=False, slots=True)
class Passage:
    """One client, and the server that it waits for or is joined to."""

    client: Line
    token: str
    purse: Purse
    heard_at: float  # from the client, seconds
    server: Line | None = None
    timer: IDelayedCall | None = field(default=None, repr=False)

    def other(self, line: Line) -> Line | None:
        """The other end."""
        return self.server if line is self.client else self.client


class Passages:
    """
    :param entropy: so many random bytes at each call.
    :param rate: bytes a second that the passages of one client carry together.
    """

    def __init__(self, clock: IReactorTime, entropy: Callable[[int], bytes], rate: float) -> None:
        self.counts: Counter[str] = Counter()
        self._clock, self._entropy, self._rate = clock, entropy, rate
        self._servers: list[Line] = []  # registered, that come when they are asked
        self._waiting: dict[str, Passage] = {}  # by token
        self._by_line: dict[Line, Passage] = {}  # of both ends
        self._of_client: dict[tuple[str, str], list[Passage]] = {}  # by network and name

    def __len__(self) -> int:
        return sum(map(len, self._of_client.values()))

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        return {"passages": len(self), **{what: self.counts[what] for what in ("passages_joined", "passages_refused")}}

    # -- coming and going ----------------------------------------------------------------------------------------------

    def serve(self, line: Line) -> None:
        """A server has registered, and comes when it is asked."""
        self._servers.append(line)

    def reach(self, client: Line, server: str, name: str = "") -> None:
        """
        A client wants a passage: its server is asked to come.

        :param server: the host that the client calls.
        :param name: that it expects in the server's certificate; "" for that of the host.
        :raises Refused: there is no such server, or there are too many passages.
        """
        try:
            called = self._called(client.network, server, name)
            held = self._of_client.get((client.network, client.name), [])
            if len(self) >= MOST and len(held) < MOST_OF_ONE:
                raise Refused("the relay has too many passages")
        except Refused:
            self.counts["passages_refused"] += 1
            raise
        now = self._clock.seconds()
        purse = held[0].purse if held else Purse(BURST * self._rate, now)
        if len(held) >= MOST_OF_ONE:
            self._make_room(held)
        passage = Passage(client, self._entropy(TOKEN).hex(), purse, now)
        self._of_client.setdefault((client.network, client.name), []).append(passage)
        self._by_line[client] = self._waiting[passage.token] = passage
        passage.timer = self._clock.callLater(WAIT, self._nobody_comes, passage)
        called.tell(Asked(passage.token))

    def _called(self, network: str, server: str, name: str) -> Line:
        """
        The one whose certificate the client would take, or the only one: it proves to the client who it is in any case.

        Where several carry the name, it is the one that carries the host as well.

        :raises Refused: there is none, or it cannot be told which.
        """
        here = [line for line in self._servers if line.network == network]
        if not here:
            raise Refused(NO_SERVER)
        for wanted, trouble in ((name or server, WHICH_SERVER), (server, AMBIGUOUS)):
            if len({line.name for line in here}) == 1:
                break
            here = [line for line in here if line.carries(wanted)]
            if not here:
                raise Refused(trouble)
        if len({line.name for line in here}) > 1:
            raise Refused(AMBIGUOUS)
        return here[-1]  # of several lines of one server, the last is the one that lives

    def _make_room(self, held: Sequence[Passage]) -> None:
        """A client that changes networks leaves dead ones behind: the one goes that was not heard from for longest."""
        client = min(held, key=lambda passage: passage.heard_at).client
        client.end("made room")
        self.gone(client)  # at once: TCP learns only later that it is dead

    def _nobody_comes(self, passage: Passage) -> None:
        del self._waiting[passage.token]  # a server that comes now is too late, though the client may not be gone yet
        passage.timer = None
        passage.client.tell(TurnedAway(NOBODY_COMES))
        passage.client.end(NOBODY_COMES)

    def meet(self, server: Line, token: str) -> None:
        """
        A server comes to the client that waits with this token, once.

        :raises Refused: nobody does, or in another network.
        """
        passage = self._waiting.get(token)
        if passage is None or passage.client.network != server.network:
            self.counts["passages_refused"] += 1
            raise Refused("nobody waits for you")
        del self._waiting[token]
        if passage.timer is not None:
            passage.timer.cancel()
            passage.timer = None
        passage.server, self._by_line[server] = server, passage
        self.counts["passages_joined"] += 1
        for line in (passage.client, server):
            line.tell(Joined())

    def gone(self, line: Line) -> None:
        """It has ended: the other end of its passage is hung up on. Harmless if it has none."""
        if line in self._servers:
            self._servers.remove(line)
        passage = self._by_line.pop(line, None)
        if passage is None:
            return
        other = passage.other(line)
        self._waiting.pop(passage.token, None)
        if passage.timer is not None and passage.timer.active():
            passage.timer.cancel()
        owner = passage.client.network, passage.client.name
        held = self._of_client[owner]
        held.remove(passage)
        if not held:
            del self._of_client[owner]
        if other is not None:
            self._by_line.pop(other, None)
            other.end("the other end is gone")

    # -- what goes through ---------------------------------------------------------------------------------------------

    def has(self, line: Line) -> bool:
        """Whether it waits for a passage, or is an end of one."""
        return line in self._by_line

    def other(self, line: Line) -> Line | None:
        """Who gets what comes from there; None: nobody yet."""
        passage = self._by_line.get(line)
        return passage.other(line) if passage is not None else None

    def charge(self, line: Line, size: int) -> None:
        """What came from there cost so many bytes. Whoever sends more than its rate is read later."""
        passage = self._by_line.get(line)
        if passage is None:
            return
        purse, now = passage.purse, self._clock.seconds()
        if line is passage.client:
            passage.heard_at = now
        purse.credit = min(BURST * self._rate, purse.credit + (now - purse.at) * self._rate) - size
        purse.at = now
        if purse.credit < 0:
            line.pause(max(SHORTEST_PAUSE, -purse.credit / self._rate))
