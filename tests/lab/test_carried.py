"""Other programs than WireGuard over a carry: OpenVPN by UDP, and QUIC."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from morphnet.lab.rivals import INNER, PORT, openvpn
from tests.lab.case import LabCase, Plan, Traffic, rest
from tests.lab.wireguard import lacking

VPN, QUIC = 11940, 4433  # UDP ports on the client's loopback; QUIC's is the server's too


class CarriedTests(LabCase):
    """A client without a TUN device, with two uplinks; who is carried knows nothing of it."""

    rootless = False  # nothing of it depends on who one is
    plan: ClassVar[Plan] = Plan(
        server=(("carry_services", f"vpn=127.0.0.1:{PORT},quic=127.0.0.1:{QUIC}"),),
        client=(("tun", ""), ("carry", f"127.0.0.1:{VPN}=vpn,127.0.0.1:{QUIC}=quic")),
    )

    def shaken(self) -> None:
        """Each uplink is pulled once, both NATs forget."""
        for uplink in ("wan0", "wan1"):
            with self.no_uplink_but(uplink):
                rest(0.5)
            self.both_active()
        for nat in ("nat0", "nat1"):
            self.box.remap_nat(nat)
        rest(1.5)
        self.both_active()

    def test_openvpn(self) -> None:
        """Debian's OpenVPN, which calls before its server is there: no echo is lost, and it does not connect anew."""
        if (missing := lacking("openvpn")) is not None:
            self.skipTest(missing)
        before = {name: list(node.started) for name, node in self.box.nodes.items()}
        openvpn(self.box, VPN)
        for name, node in self.box.nodes.items():
            for process in node.started:
                if process not in before[name]:
                    self.addCleanup(process.wait, 10)
                    self.addCleanup(process.terminate)
        ping = self.ping(host=INNER["server"])
        self.shaken()
        self.lost_at_most(ping.end(), 0)
        self.assertEqual(self.ping("--count", "20", "--size", "1472", host=INNER["server"]).wait()["lost"], 0)
        log = (Path(self.here.dir) / "openvpn.log").read_text()
        self.assertEqual(log.count("Peer Connection Initiated"), 1, log)

    def test_quic(self) -> None:
        """aioquic at both ends: one connection takes bytes all the time."""
        serve = [sys.executable, "-m", "tests.bench.quic", "give", str(QUIC)]
        serving = self.server.node.popen(serve, stdout=subprocess.PIPE, text=True)
        self.addCleanup(serving.wait, 10)
        self.addCleanup(serving.terminate)
        assert serving.stdout is not None
        self.addCleanup(serving.stdout.close)
        serving.stdout.readline()
        taking = Traffic(self.here, "tests.bench.quic", "take", str(QUIC), "127.0.0.1")
        self.shaken()
        rest(1.0)
        self.assertGreater(taking.end()["mbit_s"], 1.0)
        (quic,) = (each for each in self.server.status()["carries"] if each["service"] == "quic")
        self.assertGreater(quic["received_bytes"] + quic["sent_bytes"], 2_000_000)
