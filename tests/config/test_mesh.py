"""How the other machines of the network are met."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.mesh import MeshConfig


class DefaultTests(SynchronousTestCase):
    def test_careful(self) -> None:
        """Without a relay nobody is met; a relay must be safe against those who record today; no layer 2 unasked."""
        mesh = MeshConfig()
        self.assertEqual((mesh.relays, mesh.relay_pq, mesh.ethernet, mesh.bridge), ((), "require", "", ""))
