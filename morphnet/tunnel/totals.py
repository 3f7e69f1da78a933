"""What a session has done since it began, by whatever paths: numbers that only grow."""

from __future__ import annotations

from collections.abc import Iterable

from morphnet.tunnel.events import Counts
from morphnet.tunnel.session import Session


def total_of(session: Session) -> Counts:
    """By name, see `ops/counted`. Paths that are closed count on: a session forgets none."""
    egress, reorder = session.outbound.egress, session.inbound.reorder
    found = Counts(session.counts)
    found.update(
        dropped_queue=egress.codel_drops + egress.overflow_drops + egress.age_drops,
        gaps=reorder.gaps,
        late=reorder.late,
        held_back=reorder.reordered,
        rekeys=session.outbound.keys.turns,
        payload_sent=session.outbound.payload,
        payload_received=session.inbound.payload,
    )
    for path in session.paths.values():
        found.update(
            sent_packets=path.delivery.sent_packets,
            sent_bytes=path.delivery.sent_bytes,
            resent_packets=path.delivery.resent_packets,
            received_packets=path.received.packets,
            received_bytes=path.received.bytes,
        )
    return found


def payload_of(session: Session) -> tuple[int, int]:
    """Bytes of packets and carried datagrams that it has sent and received, each once."""
    return session.outbound.payload, session.inbound.payload


class Totals:
    """Of all sessions that there have been."""

    def __init__(self) -> None:
        self._ended = Counts()

    def ended(self, session: Session) -> None:
        """It counts no more, and what it has counted stays."""
        self._ended.update(total_of(session))

    def of(self, living: Iterable[Session]) -> Counts:
        """Together with those that are there."""
        found = Counts(self._ended)
        for session in living:
            found.update(total_of(session))
        return found
