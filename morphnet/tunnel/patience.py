"""
How long an end of a session waits for a packet that is missing: both ends count with it.

Voice cannot wait long. TCP can, and loses much by a gap: a round trip at the least, and half of its rate. So what TCP
carries waits until what was lost has been sent again, as far as the other end says that it does so.

Source: docs/protocol section 9.
"""

from __future__ import annotations

from morphnet.wire.header import IP
from morphnet.wire.ip import tcp_payload
from morphnet.wire.segments import Run


class Patience:
    """What one end has."""

    __slots__ = ("rest", "tcp")

    def __init__(self, rest: float, tcp: float = 0.0) -> None:
        self.rest = rest  # seconds, for what is not TCP
        self.tcp = tcp  # seconds, for what TCP carries; 0 when what is lost is not sent again

    @property
    def longest(self) -> float:
        """Seconds that anything waits."""
        return max(self.tcp, self.rest)

    def of(self, run: Run) -> float:
        """Seconds that what is of `run` is worth waiting for: none for a bare acknowledgement, the next says it all."""
        if run.kind != IP:
            return self.rest
        payload = tcp_payload(run.head or memoryview(run.body)[: run.size])
        if payload is None:
            return self.rest
        return self.longest if payload or run.head else 0.0
