"""Who hears the control link, for the node and for the machine that calls it."""

from __future__ import annotations

from morphnet.rendezvous.reconnect import Reconnect
from morphnet.roles.client.node import ClientNode
from morphnet.roles.signalling.control_client import Link, Pushed
from morphnet.wire.messages.control import Hello, Welcome


class Ear:
    """Hears the control link, for the node and for the machine of the link."""

    def __init__(self, node: ClientNode, machine: Reconnect) -> None:
        self.node, self._machine = node, machine

    def hello(self) -> Hello:
        return self.node.hello()

    def stays(self) -> bool:
        return self.node.is_served()

    def welcomed(self, welcome: Welcome, link: Link) -> None:
        self.node.notices.answered()
        self.node.welcomed(welcome, link)
        self.node.carrying_is(welcome.services)
        self._machine.opened()

    def refused(self, reason: str, retry_after: float | None) -> None:
        self.node.notices.refused(f"the server refuses us: {reason}")
        self._machine.refused(reason, retry_after)

    def failed(self, reason: str) -> None:
        called = " or ".join(self.node.config.all_servers())
        self.node.notices.not_reached(f"{called} is not reached, and called again: {reason}")
        self._machine.failed(reason)

    def signal(self, signal: Pushed) -> None:
        self.node.signal(signal)

    def lost(self, reason: str) -> None:
        self.node.link_lost(reason)
        self._machine.lost(reason)
