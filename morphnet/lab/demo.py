"""
The main job on real traffic: break the network under a tunnel in every usual way, and count what is lost.

    python -m morphnet.lab.enter -- python -m morphnet.lab.demo [--json] [--short]

Exit code 0 if nothing was lost, 1 if a promise was broken, 77 if this machine has no room for a box.
"""

from __future__ import annotations

import sys
from typing import Any

from morphnet.lab.box import Box
from morphnet.lab.stage import Event, Stage, Traffic, perform
from morphnet.lab.topologies import WORLD, Route, two_uplinks
from morphnet.lab.vpn import INNER_SERVER, Vpn, wait_for

DELAYS, RATES = (0.010, 0.030), (20e6, 20e6)
SILENCE_LIMIT = 0.2  # seconds: max(3 RTT, 200 ms) with these delays


class Demo(Stage):
    """A server, and a client with two uplinks."""

    def __init__(self, box: Box, pause: float) -> None:
        super().__init__(box, pause)
        self.vpn = Vpn(box, "203.0.113.1")
        self.events = self._plan()

    def _plan(self) -> list[Event]:
        box = self.box
        return [
            Event("uplink wan0 goes down", SILENCE_LIMIT, self._down, self._up),
            Event(
                "uplink wan1 swallows everything, carrier stays",
                SILENCE_LIMIT,
                lambda: box.wire("wan1").black_hole(),
                lambda: box.wire("wan1").heal(),
            ),
            Event("the client's address on wan0 changes", SILENCE_LIMIT, self._renumber, lasts=2.0),
            Event("both NATs forget and map to other ports", SILENCE_LIMIT, self._forget, lasts=2.0),
            Event("the server is killed and started again", 3.0, self._restart, lasts=3.0),
        ]

    # -- what is done ----------------------------------------------------------------------------------------------

    def _down(self) -> None:
        self.box.link_down("client", "wan0")

    def _up(self) -> None:
        self.box.link_up("client", "wan0")

    def _renumber(self) -> None:
        self.box.address("client", "wan0", remove=["192.168.1.2/24"])
        self.box.address("client", "wan0", add=["192.168.1.77/24"])
        self.box.route("client", add=[Route("default", "192.168.1.1", "wan0", 100)])

    def _forget(self) -> None:
        self.box.remap_nat("nat0")
        self.box.remap_nat("nat1")

    def _restart(self) -> None:
        self.vpn.server.kill()
        self.vpn.server.start(wait=False)

    # -- what Stage asks for -----------------------------------------------------------------------------------------

    def prepare(self) -> Traffic:
        """Bring the tunnel up over both uplinks, then traffic."""
        self.scene.say("making a network, its certificates, a server and a client")
        self.vpn.found()
        client = self.vpn.join()
        wait_for("both paths are active", lambda: list(client.states().values()) == ["active", "active"])
        return self.start_traffic(self.box.node("client"), self.box.node("world"), INNER_SERVER, WORLD)

    def watch(self, traffic: Traffic) -> None:
        """Bring the picture up to date."""
        super().watch(traffic)
        try:
            self.scene.session = self.vpn.clients[0].session()
        except OSError:
            pass

    def counters(self) -> dict[str, Any]:
        """Of the client's session."""
        return dict(self.vpn.clients[0].session().get("counters", {}))

    def stop(self) -> None:
        """End every process."""
        self.vpn.stop()


def main(arguments: list[str]) -> int:
    """Run the demo; 0, 1 or 77."""
    return perform(Demo, two_uplinks(DELAYS, RATES), arguments, __doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
