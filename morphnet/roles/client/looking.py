"""
Looking who answers by an uplink that carries nothing: the control link may have come about by another one.

The server is called by that uplink alone, and hung up on as soon as it has proved itself. What comes of it is told by
the call itself, see `Destination.answered`.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol

LOOK_EVERY = 10.0  # seconds


class Visitor(Protocol):
    """Has nothing to say to a server that has proved itself."""

    def connectionMade(self) -> None:
        assert self.transport is not None  # Twisted calls this with one
        self.transport.loseConnection()


class Looking:
    """
    :param call: calls the server by one uplink; the call ends by itself.
    :param unclear: the uplinks to look at.
    """

    def __init__(self, call: Callable[[str], Deferred[IProtocol]], unclear: Callable[[], list[str]]) -> None:
        self._call, self._unclear = call, unclear
        self._calls: dict[str, Deferred[IProtocol]] = {}  # under way, by device

    def look(self) -> None:
        """Call by each of them, unless one is called by already."""
        for device in self._unclear():
            if device not in self._calls:
                calling = self._calls[device] = self._call(device)
                calling.addBoth(self._ended, device)  # also that nobody answers: it will be tried again

    def close(self) -> None:
        """Call nobody any more."""
        for calling in list(self._calls.values()):
            calling.cancel()

    def _ended(self, _: object, device: str) -> None:
        del self._calls[device]
