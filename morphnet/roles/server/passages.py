"""Clients that reach the server by a relay alone: it is asked there, and comes."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.logger import Logger

from morphnet.net.dial import Destination, Net
from morphnet.net.passage import PassageDial
from morphnet.roles.signalling.relay_client import RelayClient
from morphnet.wire.messages.relay import Meet

MOST_COMING = 64  # calls under way: a relay may ask for more than there are clients


class Meetings:
    """
    Calls a relay for each client that waits there; who comes through is a caller as any other.

    :param factory: of the control port.
    """

    _log = Logger()

    def __init__(self, net: Net, factory: IProtocolFactory) -> None:
        self._net, self._factory = net, factory
        self._coming: set[Deferred[IProtocol]] = set()
        self._met = self._failed = 0

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        return {"passages_met": self._met, "passages_failed": self._failed}

    def asked(self, relay: RelayClient, token: str) -> None:
        """A client waits there."""
        if len(self._coming) >= MOST_COMING:
            self._failed += 1
            return
        dial = PassageDial(self._net, relay.tls, Destination(relay.host, relay.port), Meet(token), relay.pq)
        coming = dial.connect(self._factory)
        self._coming.add(coming)
        coming.addCallbacks(lambda _: self._came(True), lambda _: self._came(False))
        coming.addBoth(lambda _: self._coming.discard(coming))

    def _came(self, met: bool) -> None:
        self._met += met
        self._failed += not met

    def close(self) -> None:
        """Go to nobody any more."""
        for coming in list(self._coming):
            coming.cancel()
