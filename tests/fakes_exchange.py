"""What relays share, in memory: channels, and claims that lapse."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from morphnet.rendezvous.relay.shared_cluster import SharedCluster


class Hub:
    """Stands for Redis. Messages wait until `settle`."""

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self.claims: dict[int, tuple[str, float]] = {}
        self.exchanges: list[FakeExchange] = []
        self.waiting: list[tuple[str, bytes]] = []
        self.swallows = False  # all messages
        self.full = False

    def join(self, cluster: SharedCluster) -> FakeExchange:
        """Give it an exchange."""
        exchange = FakeExchange(self, cluster)
        self.exchanges.append(exchange)
        cluster.opened(exchange)
        return exchange

    def settle(self) -> None:
        """Hand on all that was said, and all that is said to it."""
        while self.waiting:
            channel, message = self.waiting.pop(0)
            for exchange in list(self.exchanges):
                if channel in exchange.channels and not self.swallows:
                    exchange.cluster.heard(message)


class FakeExchange:
    """An Exchange by way of the hub, which all relays share."""

    def __init__(self, hub: Hub, cluster: SharedCluster) -> None:
        self.hub, self.cluster = hub, cluster
        self.channels: set[str] = set()
        self.closed = ""

    def claim(self, block: int, token: str, seconds: int) -> Deferred[bool]:
        """Claim the block, unless another token holds it and has time left; fails once closed."""
        if self.closed:
            return fail(ConnectionError())
        now = self.hub.clock.seconds()
        holder, until = self.hub.claims.get(block, ("", 0.0))
        if holder not in ("", token) and until > now:
            return succeed(False)
        self.hub.claims[block] = token, now + seconds
        return succeed(True)

    def subscribe(self, channels: Sequence[str]) -> Deferred[None]:
        """Hear these channels too, at once."""
        self.channels |= set(channels)
        return succeed(None)

    def publish(self, channel: str, message: bytes) -> None:
        """Leave it with the hub until that settles; once closed, drop it."""
        if not self.closed:
            self.hub.waiting.append((channel, message))

    def hand(self, channel: str, message: bytes) -> bool:
        """Publish it, unless the hub is full."""
        if not self.hub.full:
            self.publish(channel, message)
        return not self.hub.full

    def close(self, reason: str) -> None:
        """Leave the hub, and tell the cluster why."""
        self.closed = reason
        self.hub.exchanges.remove(self)
        self.cluster.closed(reason)
