"""What stands between this machine and the others: NATs, as the relays' echoes see them, and how far relays are."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from morphnet.roles.peers.doors import Doors
from morphnet.roles.peers.relays import Relays, Standing
from morphnet.roles.peers.sessions import Sessions
from morphnet.roles.peers.surroundings import Ourselves, Surroundings
from morphnet.roles.process.statuses import shown_address
from morphnet.roles.process.waiting import until
from morphnet.status import NetcheckStatus, RelayDistance, SocketStatus
from morphnet.traversal.reflexive import ReflexiveClient
from morphnet.wire.batch import Endpoint
from morphnet.wire.candidates import MAPPED

WITHIN = 2.0  # seconds for the echoes to answer: four questions each


def netcheck(around: Surroundings, relays: Relays, doors: Doors, sessions: Sessions) -> Deferred[NetcheckStatus]:
    """Ask every echo anew, and tell what came of it."""
    asked_at = around.now()
    clients = [client for _, _, client in relays.standing() if client is not None]
    relays.hurry()
    sessions.wake()

    def all_answered() -> bool:
        return all(
            socket.answered_at >= asked_at and len(socket.seen) == len(client.ports)
            for client in clients
            for socket in client.sockets.values()
        )

    waiting = until(all_answered, WITHIN, around.clock, around.now)
    return waiting.addCallback(lambda _: _picture(around.ourselves, relays.standing(), doors, sessions, asked_at))


def _picture(
    ourselves: Ourselves, lines: Sequence[Standing], doors: Doors, sessions: Sessions, asked_at: float
) -> NetcheckStatus:
    rtts = [(client.rtt() if client is not None else None) for _, _, client in lines]
    nearest = next((turn for turn, rtt in enumerate(rtts) if rtt is not None), None)
    clients = [client for _, _, client in lines if client is not None]
    sockets = []
    for door in doors.families:
        local = doors.local_of(door)
        assert local is not None  # it is one of them
        here = Endpoint(*local)
        public, nat = seen_of(here, door, clients, asked_at)
        uplink = sessions.uplink_of(door)
        shown = shown_address(public) if public is not None else ""
        sockets.append(SocketStatus(uplink, shown_address(here), shown, nat))
    mapped = [Endpoint(each.host, each.port) for each in ourselves.candidates() if each.kind == MAPPED]
    return NetcheckStatus(
        name=ourselves.name,
        sockets=tuple(sockets),
        ipv6=any(doors.families.values()),
        mapped=tuple(map(shown_address, mapped)),
        relays=tuple(
            RelayDistance(relay.host, state, rtt, turn == nearest)
            for turn, ((relay, state, _), rtt) in enumerate(zip(lines, rtts, strict=True))
        ),
    )


def seen_of(here: Endpoint, door: int, clients: list[ReflexiveClient], asked_at: float) -> tuple[Endpoint | None, str]:
    """
    As what one of our sockets is seen from outside, and what that says of NATs, as in SocketStatus.

    :param clients: the nearest relay's first.
    :param asked_at: when they were asked anew; what was seen before may be over.
    """
    asking = [client for client in clients if door in client.sockets]
    if not asking:
        return None, "unknown"
    answered = [client for client in asking if client.sockets[door].answered_at >= asked_at]
    seen = [endpoint for client in answered for endpoint in client.sockets[door].seen.values()]
    if not seen:
        return None, "blocked"
    if len(set(seen)) > 1 or any(client.varies(door) for client in answered):
        return seen[0], "each"
    if seen[0] == here:
        return seen[0], "none"
    return seen[0], "same" if len(seen) > 1 else "some"
