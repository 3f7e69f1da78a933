"""Peers meet directly by a port that a router gave, where nothing else leads in."""

from __future__ import annotations

import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.homes import Home, homes
from morphnet.lab.meeting import Meeting
from morphnet.lab.vpn import wait_for
from tests.lab.case import Ping
from tests.lab.scene import NOT_HERE
from tests.lab.test_portmapping import Process

OUTSIDE = "198.51.100.6"  # of the second home's router
INSIDE = "192.168.2.2"  # of its machine


class MappedDoorsTests(SynchronousTestCase):
    """Two hard NATs, of which one gives out ports: by itself, that pair needs the relay."""

    rootless = False

    skip = NOT_HERE
    timeout = 120

    def setUp(self) -> None:
        self.box = Box(homes([Home("hard"), Home("hard")]))
        self.box.start()
        self.addCleanup(self.box.stop)
        self.meeting = Meeting(self.box)
        self.addCleanup(self.meeting.stop)
        self.meeting.found()

    def router(self, *words: str) -> Process:
        """Let the hard router give out ports."""
        ways = ("--inside", "br", "--outside", "wan", "--address", OUTSIDE)
        process = Process(self.box, "nat1", "morphnet.lab.portmapper", *ways, *words)
        self.addCleanup(process.close)
        self.assertIn("ready", process.line())
        return process

    def mapped(self, router: Process) -> tuple[str, int]:
        """What the router gave: the address outside."""
        ((protocol, outside, host, port),) = router.tells()["mappings"]
        self.assertEqual((protocol, host), (17, INSIDE))
        self.assertGreater(port, 0)
        return OUTSIDE, outside

    def direct(self, at: str, of: str) -> dict[str, Any]:
        self.meeting.wait_met(["anna", "bert"], "direct")
        return self.meeting.peer(at, of)

    def test_found(self) -> None:
        """Without a mapping there is only the relay; with one the way leads through it. At the end it is given back."""
        router = self.router("--speaks", "pmp")
        self.meeting.join("m0", "anna")
        bert = self.meeting.join("m1", "bert", {"mesh-port-mapping": False})
        self.meeting.wait_met(["anna", "bert"], "relay")
        wait_for("the search is given up", lambda: self.meeting.peer("anna", "bert")["state"] == "settled")
        self.assertEqual(self.meeting.ways("anna", "bert"), "relay")
        self.assertEqual(router.line(0.1), "", "it was not asked")
        bert.stop()
        bert.settings["mesh-port-mapping"] = True
        bert.start()
        outside = self.mapped(router)
        self.assertEqual(self.direct("anna", "bert")["remote"], "{}:{}".format(*outside))
        self.assertEqual(Ping(self.box.node("m0"), self.meeting.inner("bert"), "--count", "20").wait()["lost"], 0)
        begun = time.monotonic()
        bert.stop()
        self.assertLess(time.monotonic() - begun, 4.0)
        self.assertEqual(router.tells(), {"mappings": []})

    def test_late_router(self) -> None:
        """A router that begins to give out ports is made use of when the uplink changes; who is mapped may call too."""
        self.meeting.join("m0", "bert")
        anna = self.meeting.join("m1", "anna")  # the lower name calls
        self.meeting.wait_met(["anna", "bert"], "relay")
        wait_for("the search is given up", lambda: self.meeting.peer("anna", "bert")["state"] == "settled")
        router = self.router()
        self.box.link_down("m1", "eth0")
        self.box.link_up("m1", "eth0")
        self.mapped(router)
        self.direct("anna", "bert")
        self.assertIn("port-mapping", [each["kind"] for each in anna.happenings()])
