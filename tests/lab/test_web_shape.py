"""The shape `web`: control link and data both by HTTPS to a real web server, whose certificate is a public one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from morphnet.lab.topologies import SERVER, two_uplinks
from tests.lab.case import LabCase, Plan, rest
from tests.lab.obstacles import BARE, NGINX
from tests.lab.pcap import sightings
from tests.lab.public_web import NAME, PATH, PORT, trust, web_server
from tests.lab.scene import NOT_HERE
from tests.lab.test_web import sent_to

PROBES = 1000
HELLO = b"\x16\x03\x01"  # the record that a ClientHello is in


class WebShapeTests(LabCase):
    """One uplink of 20 Mbit/s, 10 ms one way; nginx on the gateway."""

    alone = True
    rootless = False
    skip = NOT_HERE or (None if NGINX.exists() else "no nginx here")
    plan = Plan(
        lambda: two_uplinks((0.010,), (20e6,)),
        names=((NAME, SERVER),),
        client=(("shape", "web"), ("shape_web", f"https://{NAME}{PATH}")),
        server=(("web_port", PORT),),
    )

    def open_anew(self) -> None:
        """Each test begins with the start of a client."""

    def schedule(self, name: str) -> None:
        """There is no session before."""

    def streams(self) -> list[str]:
        """The states of the client's paths, which are all by TCP."""
        states = self.client.states()
        self.assertEqual([uplink for uplink in states if not uplink.startswith("tcp")], [])
        return list(states.values())

    def test_web(self) -> None:
        """
        All that leaves the machine goes to TCP 443 of the web server, asks for its name, and shows its certificate to
        who watches; the tunnel is up within 5 s, a transfer is whole, and no echo is lost; probers find the site alone.
        """
        self.network.failed = True  # nobody else wants it
        self.client.stop()
        with web_server(self.server) as certificate:
            trust(self.client.node, certificate)
            captured = Path(self.box.dir) / "wan0.pcap"
            self.box.wire("wan0").capture(str(captured))
            self.client.start()
            self.until("a stream is active", lambda: self.streams() == ["active"], 5.0)
            ping, fetch = self.ping(), self.fetch("--bytes", "2000000")
            self.unbroken(fetch.wait())
            rest(1.0)
            self.lost_at_most(ping.end(), 0)
            self.box.wire("wan0").capture(None)
            self.assertEqual([each for each in sightings(captured) if SERVER in (each.source[0], each.target[0])], [])
            self.assertEqual([port for port in (8443, 8000) if sent_to(captured, port)], [])
            recorded = sent_to(captured, 443)
            self.assertEqual(len(recorded), 2)  # control link and data
            self.assertTrue(all(each.startswith(HELLO) and NAME.encode() in each[:2000] for each in recorded))
            self.assertEqual(self.server.status()["levels"]["web_callers"], 2)
            self.is_the_site(recorded)

    def is_the_site(self, recorded: list[bytes]) -> None:
        """Probes of all kinds are answered as by the same web server without us."""
        seen = Path(self.box.dir) / "recorded"
        seen.write_text("".join(f"{each.hex()}\n" for each in recorded))
        words = SERVER, "443", str(BARE), str(PROBES), str(seen)
        done = self.box.node("isp").run([sys.executable, "-m", "tests.lab.probes", *words], timeout=100.0)
        told = json.loads(done.stdout)
        self.assertEqual((told["probes"], told["different"]), (PROBES, 0), told)
        self.assertGreater(self.server.status()["counters"]["web_refused"], 0)  # some of them had come through to us
