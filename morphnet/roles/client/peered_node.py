"""A node and its peers: what can be asked of it about them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed

from morphnet.config.roles import ClientConfig
from morphnet.errors import ConfigError
from morphnet.net.pump import Pump
from morphnet.net.tls import Peer
from morphnet.ops import verbs
from morphnet.ops.verb import Verb
from morphnet.roles.client.certified_node import Certificates
from morphnet.roles.client.machine import Machine
from morphnet.roles.client.openness import Openness
from morphnet.roles.client.served_node import ServedNode
from morphnet.roles.process.statuses import shown_address
from morphnet.roles.signalling.control_client import Learnt
from morphnet.status import NetcheckStatus, PeerStatus, Pong, RelayStatus
from morphnet.wire.messages.control import Welcome
from morphnet.wire.messages.trying import Tried

if TYPE_CHECKING:
    from morphnet.roles.peers.mesh import Mesh


class PeeredNode(ServedNode):
    """What a client says of its peers, if it has any."""

    def __init__(self, config: ClientConfig, pump: Pump, certificates: Certificates) -> None:
        super().__init__(config, pump, certificates)
        self.openness = Openness(pump, os.urandom)

    def meets(self, welcome: Welcome, peer: Peer | None) -> None:
        super().meets(welcome, peer)
        self.openness.known = welcome.tries

    def _server_tells(self, machine: Machine, said: Learnt) -> None:
        if isinstance(said, Tried):
            self.openness.heard(said)
        else:
            super()._server_tells(machine, said)

    def peer_statuses(self) -> tuple[PeerStatus, ...]:
        """The other machines."""
        return self.mesh.statuses() if self.mesh is not None else ()

    def relay_statuses(self) -> tuple[RelayStatus, ...]:
        """Where they are met."""
        return self.mesh.relays.statuses() if self.mesh is not None else ()

    def verbs(self) -> Sequence[Verb]:
        """What can be asked of it: of every node, and about peers."""
        return (*super().verbs(), *verbs.of_peers(self))

    def _peers(self) -> Mesh:
        """:raises ConfigError: there are none."""
        if self.mesh is None:
            raise ConfigError("there are no peers here: ask a machine that has [mesh] relays")
        return self.mesh

    def ping(self, name: str, seconds: float) -> Deferred[Pong]:
        """One question to a peer."""
        return self._peers().ping(name, seconds)

    def why(self, name: str) -> Deferred[PeerStatus]:
        """What was decided about a peer."""
        from morphnet.ops.why import peer_named  # brings all that is shown to people

        return succeed(peer_named(self._peers().statuses(), name))

    def netcheck(self) -> Deferred[NetcheckStatus]:
        """What stands between us and the others; whether a socket is open to them the server is asked meanwhile."""
        mesh = self._peers()
        here = mesh.port_at(self.link.local_host) if self.link is not None else None
        if here is None:
            return mesh.netcheck()
        door, local, port = here
        asked = self.openness.ask(self.link, door, port, mesh.around.clock)

        def together(seen: NetcheckStatus) -> Deferred[NetcheckStatus]:
            return asked.addCallback(lambda word: _with(seen, shown_address(local), port, word))

        return mesh.netcheck().addCallback(together)


def _with(seen: NetcheckStatus, local: str, port: int, word: str) -> NetcheckStatus:
    """With what is known of the port outside, at the socket that it is of."""
    sockets = (replace(each, outside=port, open=word) if each.local == local else each for each in seen.sockets)
    return replace(seen, sockets=tuple(sockets))
