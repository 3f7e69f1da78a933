"""A captive portal on one of two uplinks: it lies about names, and answers in everybody's place."""

from __future__ import annotations

import subprocess
from pathlib import Path

from morphnet.lab.topologies import SERVER
from morphnet.roles.client.looking import LOOK_EVERY
from tests.lab.case import LabCase, Plan
from tests.lab.obstacles import portal_at

NAME = "gw.example"
PORTAL = "192.168.1.1"  # the router on wan0
STARTS, WITHIN, MARGIN = 12, 3.0, 5.0  # seconds to connect; seconds more, for a process to start on a busy machine


class PortalTests(LabCase):
    """The server is called by name, wan0 is the better uplink, and leads to the portal."""

    rootless = False
    plan = Plan(address=NAME, names=((NAME, SERVER),), server=(("names_serve", False),))  # its port 53 is needed here

    def tell_names(self, node: str, *words: str) -> tuple[subprocess.Popen[str], Path]:
        """A DNS server, and with ports in `words` a portal: the process, and the file with what it learned."""
        said = self.box.dir / f"{node}.portal"
        return portal_at(self.box.node(node), said, *words), said

    def portal_warnings(self) -> list[str]:
        """Those in `status`."""
        return [each for each in self.client.status()["warnings"] if "somebody else answers" in each]

    def test_starts(self) -> None:
        """
        Of 12 starts 12 connect; the portal is named in `status`, sees no certificate and is told nothing, and the
        uplink is used when it is gone. One that comes later is named as well.
        """
        self.tell_names("server", SERVER)
        self.box.node("client").hosts({})
        self.box.node("client").resolv(f"nameserver {PORTAL}\nnameserver {SERVER}\n")
        self.client.stop()
        self.box.address("nat0", "lan", add=[f"{SERVER}/32"])  # whoever calls the server by wan0 comes to the router
        portal, said = self.tell_names("nat0", PORTAL, "443", "8000", "8443")
        for _ in range(STARTS):
            self.client.start()
            self.until("wan1 is active", lambda: self.state_of("wan1") == "active", WITHIN + MARGIN)
            self.assertEqual(
                self.portal_warnings(),
                [f"wan0: somebody else answers for {NAME} (a captive portal?): open a web page there and sign in"],
            )
            self.assertNotEqual(self.state_of("wan0"), "active")
            self.client.stop()
        self.assertEqual(said.read_text(), "ready\n")
        self.client.start()
        self.until("the portal is named", lambda: bool(self.portal_warnings()), WITHIN + MARGIN)
        portal.terminate()
        self.box.address("nat0", "lan", remove=[f"{SERVER}/32"])
        self.both_active()
        self.assertEqual(self.portal_warnings(), [])
        self.box.address("nat0", "lan", add=[f"{SERVER}/32"])  # the hour that was paid for is over
        self.tell_names("nat0", PORTAL, "8443")
        self.until("the portal is named again", lambda: bool(self.portal_warnings()), 2 * LOOK_EVERY + MARGIN)
        self.assertEqual(self.client.session()["control"], "up")
