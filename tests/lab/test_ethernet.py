"""Layer 2: two local networks joined."""

from __future__ import annotations

from tests.lab.case import Ping
from tests.lab.village import Place, VillageCase


class EthernetTests(VillageCase):
    """Two homes; each machine has a TAP device."""

    rootless = False
    place = Place(settings=(("mesh-ethernet", "lan0"),))

    def test_joined(self) -> None:
        """Machines find each other by ARP and IPv6 neighbour discovery; frames of full size pass, in pieces."""
        self.be_direct()
        for turn in range(2):
            node = f"m{turn}"
            steps = [
                ("add_address", "lan0", f"172.20.0.{turn + 1}/24"),
                ("add_address", "lan0", f"fd20::{turn + 1}/64"),
            ]
            self.box.change(node, steps)
        here = self.machines["anna"].node
        for host in ("172.20.0.2", "fd20::2"):
            self.answers(host)
            self.assertEqual(Ping(here, host, "--count", "20", "--size", "1400").wait()["lost"], 0)
        status = self.machines["anna"].status()
        self.assertGreaterEqual(status["levels"]["ethernet_addresses"], 2)
        self.assertGreater(status["counters"]["frames_written"], 20)

    def answers(self, host: str) -> None:
        """Wait until somebody has that address."""
        here = self.machines["anna"].node
        self.until(f"{host} answers", lambda: bool(Ping(here, host, "--count", "3").wait()["received"]))
