"""One question to a peer by the path that traffic would use, and how long its answer took."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from morphnet.errors import ConfigError
from morphnet.roles.peers.sessions import Sessions
from morphnet.roles.peers.surroundings import Surroundings
from morphnet.roles.peers.table import PeerTable
from morphnet.roles.process.statuses import shown_address
from morphnet.roles.process.waiting import until
from morphnet.status import Pong
from morphnet.tunnel.carrier import RELAYED
from morphnet.tunnel.events import Effects
from morphnet.tunnel.outbound import ControlPacket
from morphnet.tunnel.path import Path
from morphnet.wire.frames import Ping


def ping(around: Surroundings, peers: PeerTable, sessions: Sessions, name: str, within: float) -> Deferred[Pong]:
    """
    Ask a peer; the answer says so when nothing came back, or when there is no way to ask.

    :param within: seconds to wait.
    :raises ConfigError: there is no such peer.
    """
    peer = peers.get(name)
    if peer is None:
        raise ConfigError(f"there is no peer {name!r}: known are {', '.join(peers.names()) or 'none'}")
    session = peer.session
    path = next(iter(session.outbound.usable_paths()), None) if session is not None else None
    if session is None or path is None:
        return succeed(Pong(name, peer.inner, "none", "", None))
    relayed = path.rank >= RELAYED
    way = ("relay", path.uplink.removeprefix("relay ")) if relayed else ("direct", shown_address(path.remote))
    effects, inner = Effects(), peer.inner
    session.outbound.send_frames(path, ControlPacket([Ping()], asks=True), around.now(), effects)
    waiting = acknowledged(path, path.delivery.number - 1, within, around.clock, around.now)
    sessions.carry_out(session, effects)
    return waiting.addCallback(lambda rtt: Pong(name, inner, *way, rtt))


def acknowledged(
    path: Path, number: int, within: float, clock: IReactorTime, now: Callable[[], float]
) -> Deferred[float | None]:
    """
    Wait until the peer has acknowledged packet `number` of a path, or a later one.

    :param within: seconds.
    :returns: seconds that it took; None when it did not.
    """
    waiting = until(lambda: path.delivery.acked >= number, within, clock, now)
    # the sample of that Ack, without our looking late
    return waiting.addCallback(lambda took: min(took, path.rtt.latest or took) if took is not None else None)
