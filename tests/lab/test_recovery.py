"""The hosts of a real server and a real client are as they were: after a stop, and after `kill -9`. Figure H6."""

from __future__ import annotations

import json
import sys
from typing import Any

from morphnet.lab.vpn import Daemon, wait_for
from tests.lab.street import Street, StreetCase, counter, descriptors, final, resident, told, until_active

_LOOK = "import json; from tests.lab.host_machine import snapshot; print(json.dumps(snapshot()))"
OURS = {"rules", "routes", "addresses", "links", "nft", "sysctls", "resolv.conf"}
FLAT = 6 << 20  # bytes that a process may grow by in some rounds


class HostTests(StreetCase):
    def _see(self, street: Street) -> dict[str, Any]:
        """All that morphnet might change on each machine."""
        seen = {}
        for name in ("client", "server"):
            done = street.box.node(name).run([sys.executable, "-c", _LOOK])
            self.assertEqual(done.returncode, 0, done.stderr)
            seen[name] = json.loads(done.stdout)
        return seen

    @staticmethod
    def _differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        return {
            f"{node} {what}": (before[node][what], after[node][what])
            for node in before
            for what in before[node]
            if before[node][what] != after[node][what]
        }

    def test_all_undone(self) -> None:
        """Default route, pushed DNS, NAT: undone by a stop; after kill -9 by the next start and stop."""
        street = self.own({"dns": ["10.73.0.1"]})
        server = street.server
        client = street.vpn.enrol()
        server.stop()
        for name in ("client", "server"):
            street.box.node(name).resolv("nameserver 192.0.2.53\n")
        before = self._see(street)
        self._up(server, client)
        during = self._differences(before, self._see(street))
        self.assertEqual({each.split()[1] for each in during if each.startswith("client")}, OURS)
        self.assertIn("10.73.0.1", during["client resolv.conf"][1])
        self.assertTrue({"server nft", "server addresses", "server sysctls"} <= set(during), set(during))
        self._down(server, client)
        self.assertEqual(self._differences(before, self._see(street)), {})
        self._up(server, client)
        client.kill()
        server.kill()
        self.assertNotEqual(self._differences(before, self._see(street)), {})
        self._up(server, client)
        self._down(server, client)
        self.assertEqual(self._differences(before, self._see(street)), {})
        self.assert_quiet(server, client)

    @staticmethod
    def _up(server: Daemon, client: Daemon) -> None:
        server.start()
        client.start()
        until_active(client, paths=2)

    @staticmethod
    def _down(server: Daemon, client: Daemon) -> None:
        client.stop()
        server.stop()


class RekeyTests(StreetCase):
    rootless = False  # nothing of it depends on who one is

    server_settings = {"rekey_seconds": 1, "rekey_packets": 400}

    def test_by_time_and_count(self) -> None:
        """Keys turn every second, and every 400 packets: not one packet is lost."""
        street = self.shared()
        client, server = street.vpn.clients[0], street.server
        epochs = self._epochs(client, server)
        self.assertEqual(street.ping(count=280, grace=2.0), 0)  # 5.6 s, 280 packets: by time
        later = self._epochs(client, server)
        self.assertTrue(all(b - a >= 5 for a, b in zip(epochs, later, strict=True)), (epochs, later))
        words = ("ping", "10.73.0.1", "--count", 1600, "--interval", 0.001, "--grace", 2.0)
        fast = street.tool("client", *words)
        self.assertEqual(final(fast, 20.0)["lost"], 0)
        at_last = self._epochs(client, server)
        self.assertTrue(all(b - a >= 4 for a, b in zip(later, at_last, strict=True)), (later, at_last))
        self.assertGreater(len(told(server, "rekeyed")), 8)
        self.assert_quiet(server, client)

    @staticmethod
    def _epochs(client: Daemon, server: Daemon) -> list[int]:
        return [each.session()["epoch"] for each in (client, server)]


class FlatTests(StreetCase):
    rootless = False  # nothing of it depends on who one is

    def test_rounds(self) -> None:
        """Sessions that come and go for a while leave no file open and no memory taken."""
        street = self.shared()
        client, server = street.vpn.clients[0], street.server
        pids = [each.pid() for each in (client, server)]
        for _ in range(2):
            self._round(street, client)
        files, memory = [descriptors(pid) for pid in pids], [resident(pid) for pid in pids]
        for _ in range(5):
            self._round(street, client)
        self.assertEqual([each.pid() for each in (client, server)], pids)
        for pid, had in zip(pids, files, strict=True):
            self.assertLessEqual(abs(descriptors(pid) - had), 1)
        for pid, taken in zip(pids, memory, strict=True):
            self.assertLess(resident(pid) - taken, FLAT)
        wait_for("old links are gone", lambda: counter(server, "control_links") == 1, 5.0)
        self.assert_quiet(server, client)

    def _round(self, street: Street, client: Daemon) -> None:
        """The server drops the session, a path is cut and restored, keys turn; pings arrive at the end."""
        street.server.ask({"ask": "drop", "session": "laptop"})
        wait_for("a new session", lambda: bool(street.server.status()["sessions"]), 5.0)
        until_active(client, 5.0, paths=2)
        path = client.paths()["wan1"]["path"]
        client.ask({"ask": "cut", "path": path})
        client.ask({"ask": "rekey"})
        client.ask({"ask": "restore", "path": path})
        until_active(client, 5.0, paths=2)
        self.assertEqual(street.ping(), 0)
