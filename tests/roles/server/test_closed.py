"""A server that lets nobody in."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.pump import Pump
from morphnet.roles.server.closed import ClosedNode
from morphnet.tunnel.tunnel import Tunnel


class ClosedNodeTests(SynchronousTestCase):
    def test_status(self) -> None:
        """It says that it is a server, that it is closed, and why; it serves nowhere."""
        clock = Clock()
        pump = Pump(clock, Tunnel(server=True, entropy=bytes), clock.seconds)
        status = ClosedNode("gw", pump, "the records are lost").status()
        self.assertEqual((status.role, status.state, status.listening), ("server", "closed", ()))
        self.assertEqual(status.warnings, ("the records are lost",))

    def test_reload(self) -> None:
        """Whoever has it reload is told that this is not enough."""
        clock = Clock()
        pump = Pump(clock, Tunnel(server=True, entropy=bytes), clock.seconds)
        (reload,) = (verb for verb in ClosedNode("gw", pump, "").verbs() if verb.name == "reload")
        self.assertIn("restart it when its records are back", reload.call())
