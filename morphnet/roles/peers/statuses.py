"""Peers as `morphnet status` shows them."""

from __future__ import annotations

from collections.abc import Callable

from morphnet.net.peer_stream import PeerStream
from morphnet.roles.peers.peer import Peer
from morphnet.roles.peers.surroundings import Surroundings
from morphnet.roles.process.statuses import shown_address
from morphnet.status import PeerStatus
from morphnet.tunnel.carrier import DIRECT, RELAYED
from morphnet.tunnel.totals import total_of
from morphnet.wire.batch import Endpoint


def peer_status(
    around: Surroundings,
    peer: Peer,
    local_of: Callable[[int], tuple[str, int] | None],
    stream_of: Callable[[int], PeerStream | None],
) -> PeerStatus:
    """
    One peer, and the path that traffic would use.

    :param local_of: our address and port at a door.
    :param stream_of: the stream that is a door.
    """
    paths = peer.session.outbound.usable_paths() if peer.session is not None else []
    used = next(iter(paths), None)
    rank = used.rank if used is not None else RELAYED
    stream = stream_of(used.door) if used is not None else None
    local = local_of(used.door) if used is not None else None
    return PeerStatus(
        name=peer.name,
        state=peer.state,
        since=around.wall() - (around.now() - peer.since),
        inner=peer.inner,
        way="none" if used is None else "direct" if rank < RELAYED else "relay",
        local=shown_address(Endpoint(*local)) if local else "",
        remote=str(stream or (shown_address(used.remote) if rank == DIRECT else used.uplink)) if used else "",
        rtt=used.rtt.smoothed if used is not None else None,
        group=peer.group,
        words=peer.words,
        decisions=tuple(peer.decisions),
        counters=dict(sorted(total_of(peer.session).items())) if peer.session is not None else {},
    )
