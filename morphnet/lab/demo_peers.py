"""
Two homes that meet at a relay and then reach each other directly: break each way in turn, and count what is lost.

    python -m morphnet.lab.enter -- python -m morphnet.lab.demo_peers [--json] [--short]

Exit code 0 if nothing was lost, 1 if a promise was broken, 77 if this machine has no room for a box.
"""

from __future__ import annotations

import sys
from typing import Any

from morphnet.lab.box import Box
from morphnet.lab.homes import Home, homes
from morphnet.lab.meeting import Meeting
from morphnet.lab.stage import Event, Stage, Traffic, perform
from morphnet.lab.topologies import Way
from morphnet.lab.vpn import NotInTime, wait_for

RATE = 50e6  # bit/s of each home
SWITCH = 1.0  # seconds that the ping may be interrupted when the direct way is closed, figure C3
MOVE = 0.3  # seconds that it may stand still while everything goes over to a way that is proven already, figure A3
SEARCH = "node.mesh.peers.addresses_changed()"


class PeersDemo(Stage):
    """Two relays, and a machine in each of two homes whose firewalls let no UDP through at first."""

    def __init__(self, box: Box, pause: float) -> None:
        super().__init__(box, pause)
        self.meeting = Meeting(box)
        self.way: dict[str, str] = {}  # event -> the way after it
        self.events = [
            Event("the firewalls open", MOVE, self._open, self._note("direct")),
            Event("a firewall closes the direct way", SWITCH, self._close, self._note("relay")),
            Event("the relay in use is killed", SWITCH, self._kill, self._note("relay")),
            Event("the firewall opens again", MOVE, self._open, self._note("direct")),
            Event("every relay is killed", MOVE, self._kill_others, self._note("direct")),
        ]

    # -- what is done --------------------------------------------------------------------------------------------------

    def _note(self, wanted: str) -> Any:
        def note() -> None:
            try:
                self.meeting.wait_met(("anna", "bert"), wanted, 5.0)
            except NotInTime:
                pass  # the verdict tells
            self.way[self.scene.action] = self.meeting.ways("anna", "bert")

        return note

    def _open(self) -> None:
        self.box.set_nat("nat0", "easy", forget=False)
        self.box.set_nat("nat1", "easy", forget=False)
        anna = self.meeting.machines["anna"]
        anna.morphnet("console", "--dir", str(anna.etc), SEARCH)  # and not when its minute is over

    def _close(self) -> None:
        self.box.set_nat("nat0", "udp_blocked", forget=False)

    def _kill(self) -> None:
        self.meeting.relay.kill()

    def _kill_others(self) -> None:
        for relay in self.meeting.others:
            relay.kill()

    # -- what Stage asks for -------------------------------------------------------------------------------------------

    def prepare(self) -> Traffic:
        """Bring everybody up and let them meet at a relay, then traffic."""
        self.scene.say("making a network, its certificates, two relays, and a machine in each of two homes")
        self.meeting.found()
        self.meeting.add_relay()
        self.box.set_nat("nat0", "udp_blocked")
        self.box.set_nat("nat1", "udp_blocked")
        for node, name in (("m0", "anna"), ("m1", "bert")):
            self.meeting.join(node, name, {"mesh-streams": False})  # UDP is what this is about
        wait_for("they have met at both relays", self._met)
        bert = self.meeting.inner("bert")
        return self.start_traffic(self.box.node("m0"), self.box.node("m1"), bert, bert)

    def _met(self) -> bool:
        paths = self.meeting.machines["anna"].session().get("paths", [])
        return [path["state"] for path in paths] == ["active", "active"]

    def watch(self, traffic: Traffic) -> None:
        """Bring the picture up to date."""
        super().watch(traffic)
        try:
            self.scene.session = self.meeting.machines["anna"].session()
        except OSError:
            pass

    def verdict(self, traffic: Traffic) -> dict[str, Any]:
        """With the way that each event led to."""
        told = super().verdict(traffic)
        wanted = {event.name: way for event, way in zip(self.events, _WAYS, strict=True)}
        for event in told["events"]:
            event["way"] = self.way.get(event["name"], "")
            told["kept"] = told["kept"] and event["way"] == wanted[event["name"]]
        return told

    def stop(self) -> None:
        """End every process."""
        self.meeting.stop()


_WAYS = ("direct", "relay", "relay", "direct", "direct")  # after each event


def main(arguments: list[str]) -> int:
    """Run the demo; 0, 1 or 77."""
    way = Way(0.01, RATE)
    topology = homes([Home(way=way), Home(way=way)], relays=2)
    return perform(PeersDemo, topology, arguments, __doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
