"""A node and its peers: what can be asked of it about them."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed

from morphnet.errors import ConfigError
from morphnet.ops import verbs
from morphnet.ops.verb import Verb
from morphnet.ops.why import peer_named
from morphnet.roles.client.served_node import ServedNode
from morphnet.roles.peers.mesh import Mesh
from morphnet.status import NetcheckStatus, PeerStatus, Pong, RelayStatus


class PeeredNode(ServedNode):
    """What a client says of its peers, if it has any."""

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
        return succeed(peer_named(self._peers().statuses(), name))

    def netcheck(self) -> Deferred[NetcheckStatus]:
        """What stands between us and the others."""
        return self._peers().netcheck()
