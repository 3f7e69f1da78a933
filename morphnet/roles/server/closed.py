"""A server that lets nobody in: it does not know who was revoked."""

from __future__ import annotations

from morphnet.net.pump import Pump
from morphnet.roles.process.node import Node


class ClosedNode(Node):
    """
    It stays, and says so, because who looks for the trouble asks `morphnet status`, and an end would only be followed
    by the next start.
    """

    role = "server"

    def __init__(self, name: str, pump: Pump, why: str) -> None:
        super().__init__(name, pump)
        self.state = "closed"
        self._why = why

    def reload(self) -> str:
        """Records are looked for at the start alone."""
        return "this server is closed: restart it when its records are back"

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        return (self._why,)
