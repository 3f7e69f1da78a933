"""What morphnet changes on a machine, on a real kernel: done, and undone after `kill -9`. Figures A6 and H6."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import skipIf

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]
FIREWALL_TOOLS = ("nft", "iptables-nft", "iptables-legacy")
HOT_PLUG = 2.0  # seconds, figure A6


def observe(case: str) -> dict[str, Any]:
    """What `case` of tests.lab.host_box saw."""
    rootless = ["--user", "--map-root-user"] if os.geteuid() else []
    command = ["unshare", *rootless, "--mount", "--net", sys.executable, "-m", "tests.lab.host_box", case]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    if ended.returncode:
        raise AssertionError(f"{case}: {ended.stderr}")
    seen: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return seen


class RecoveryTests(SynchronousTestCase):
    def test_client(self) -> None:
        """After kill -9 of a client the next start leaves the machine as it was, once, by a journal with mode 0600."""
        seen = observe("client_killed")
        self.assertEqual(seen["differs"], {})
        self.assertEqual((seen["again"], seen["mode"]), (0, 0o600))
        self.assertEqual(
            set(seen["changed"]), {"rules", "routes", "addresses", "links", "nft", "sysctls", "resolv.conf"}
        )

    def test_server(self) -> None:
        """After kill -9 of a gateway forwarding, NAT and every device's own settings are as they were."""
        seen = observe("server_killed")
        self.assertEqual(seen["differs"], {})
        self.assertEqual(set(seen["changed"]), {"routes", "addresses", "links", "nft", "sysctls"})

    def test_every_step(self) -> None:
        """It does not matter after which of its changes a client is killed."""
        seen = observe("killed_anywhere")
        self.assertEqual(seen["bad"], [])
        self.assertGreater(seen["steps"], 15)

    def test_stop(self) -> None:
        """Changed wishes replace the earlier ones, `down` undoes all, and nobody else may use the journal meanwhile."""
        seen = observe("stopped")
        self.assertTrue(seen["same"])
        self.assertEqual(seen["mtu"], [["morph0", 1, 1200, 7300]])
        self.assertEqual((seen["resolv"], len(seen["nft"])), ("nameserver 192.168.5.1\n", 1))  # the guard
        self.assertIn("nameserver 10.73.0.1", seen["ours"])
        self.assertEqual(seen["upstream"], ["192.168.5.1"])
        self.assertIn("in use by another morphnet", seen["refused"])

    def test_resolv_conf(self) -> None:
        """A file, a link and nothing at all come back; what somebody else wrote meanwhile stays."""
        seen = observe("resolv_files")
        for name in ("file", "link", "none"):
            self.assertEqual(seen[name], ["file", True, True], name)
        self.assertEqual((seen["taken text"], seen["left"]), ("nameserver 2.2.2.2\n", []))

    def test_hosts(self) -> None:
        """Whoever reads the file of names while peers come and go reads a whole one, with the rights that it had."""
        seen = observe("hosts_files")
        self.assertEqual(seen["replaced"], [[], "1.2.3.4 carl\n", 0o644, False])
        self.assertEqual(seen["mounted"], [[], "1.2.3.4 carl\n", 0o644, True])


class RoutingTests(SynchronousTestCase):
    def test_ways(self) -> None:
        """The world goes into the tunnel; what is bound to an uplink or answers from it, and the network there, not."""
        self.assertEqual(
            observe("ways"),
            {
                "anyone": "morph0",
                "anyone6": "morph0",
                "bound": "lte 192.168.6.1",
                "bound6": "lte fe80::1",
                "answer": "lte 192.168.6.1",
                "server": "morph0",
                "server by the other": "lte 192.168.6.1",
                "lan": "lte",
                "chosen": "morph0",
                "bound to an uplink, chosen": "lte 192.168.6.1",
                "answer to a chosen": "lte 192.168.6.1",
            },
        )

    def test_strange_routes(self) -> None:
        """
        Nothing that a DHCP server or a router can set draws traffic out of the tunnel, not even for a moment. The local
        network is reached if it may be, and the machine's own networks are; both as soon as they are seen.
        """
        into, local, own = ["morph0", "morph0"], ["morph0", "wan"], ["morph0", "br0"]
        self.assertEqual(
            observe("strange_routes"),
            {
                "half of the world": into,
                "one host": into,
                "one host on-link": into,
                "a short mask": into,
                "half of the world, IPv6": into,
                "a network like a chosen one": local,
                "a network that holds our DNS server": into,
                "local network": local,
                "containers": own,
                "second network": own,
                "local network, denied": ["morph0"],
            },
        )

    def test_two_of_us(self) -> None:
        """One takes everything, the other its own network, and both the way that they shall; one may go."""
        seen = observe("two_of_us")
        self.assertEqual(seen["both"], ["morph0", "morph1", "morph0", "wan"])
        self.assertEqual(seen["one"], ["morph0", "morph0", "morph0", "wan"])

    def test_own_table(self) -> None:
        """A provider with the default route in a table of its own answers, sockets on it leave by it, named or not."""
        own = {"answer": "lte", "bound": "lte", "marked": "lte", "anyone": "morph0"}
        self.assertEqual(observe("own_table"), {"found": own, "named": own})

    def test_twins(self) -> None:
        """Of two uplinks with one address each answers what came in by it."""
        self.assertEqual(observe("twins"), {"seen": ["wan", "lte", "wan"], "marked": True})

    def test_address_inside_too(self) -> None:
        """An uplink with our inner address is neither guarded nor known by it, but by marks, as long as it is so."""
        seen = observe("address_inside_too")["seen"]
        self.assertEqual(seen, [[4, False, []], [2, True, []], [4, False, []]])

    def test_gateway(self) -> None:
        """Clients reach the world with the gateway's address and a clamped MSS; liars and intruders are dropped."""
        seen = observe("gateway")
        self.assertEqual(seen["client"], ["192.168.5.2", ""])
        self.assertEqual(seen["answer"], ["8.8.8.8"])
        self.assertEqual(seen["syn"], ["192.168.5.2", "1360"])
        self.assertEqual((seen["spoofed"], seen["intruder"]), ([], []))


class UplinkTests(SynchronousTestCase):
    def test_hot_plug(self) -> None:
        """A link that is plugged in has its table and rules well within the time of figure A6."""
        seen = observe("hot_plug")
        self.assertEqual(seen["calls"][-1], ["wan", "lte"])
        self.assertLess(seen["took"][0], HOT_PLUG)

    def test_flap(self) -> None:
        """A link that was gone for less than a look gets its routes back."""
        seen = observe("flap")
        self.assertEqual(seen["calls"], [["wan"], ["wan"]])
        self.assertLess(seen["took"][0], HOT_PLUG)


class NeighbourTests(SynchronousTestCase):
    """Figure D16."""

    def test_client(self) -> None:
        """
        No neighbour of a client reaches its inner addresses, or sends into the tunnel in its name, whatever source he
        writes, also where no MSS is clamped (among peers); peers, neighbours of its other addresses and itself do.
        """
        seen = observe("neighbours_of_client")
        for clamped in (True, False):
            self.assertEqual(seen[f"reached {clamped}"], {"10.73.0.2": [], "fd73::2": []})
            self.assertEqual(seen[f"as us {clamped}"], [])
        self.assertEqual(seen["peers"], [["10.73.0.9"], ["fd73::9"]])
        self.assertEqual((seen["lan"], seen["itself"]), (["192.168.5.77", "2001:db8:5::77"], True))

    def test_gateway(self) -> None:
        """
        No neighbour of a gateway reaches its inner addresses or its clients', or is taken for a client; networks that
        may reach clients do, by their own device; clients reach the gateway.
        """
        seen = observe("neighbours_of_gateway")
        self.assertEqual((seen["nat"], seen["routed"], seen["as a client"]), ({}, {}, []))
        self.assertEqual(seen["open"], {"10.73.0.2": ["192.168.5.77"], "fd73::2": ["2001:db8:5::77"]})
        self.assertEqual(seen["clients"], [["10.73.0.2"], ["fd73::2"]])


class FirewallTests(SynchronousTestCase):
    @skipIf(not all(map(shutil.which, FIREWALL_TOOLS)), "needs the Debian packages iptables and nftables")
    def test_found(self) -> None:
        """
        A firewall that drops what a gateway forwards is found, by whatever tool it was made, and the line that is said
        to cure it does; one that lets it pass, or might, is not complained of.
        """
        seen = observe("firewalls")
        where = {name: [chain for _, chain in each["where"]] for name, each in seen.items() if each["where"]}
        both = ["nftables inet mine forwarded"] * 2
        self.assertEqual(
            where,
            {
                "docker": ["nftables ip filter FORWARD"],
                "ufw": ["nftables ip filter FORWARD"],
                "firewalld": ["nftables inet firewalld filter_FORWARD"] * 2,
                "plain": both,
                "plain, by its network": both[:1],  # IPv6
                "plain, answers only": both,
                "no answers": ["nftables ip mine f"],
                "legacy": ["iptables-legacy FORWARD"],
                "legacy ufw": ["iptables-legacy FORWARD"],
            },
        )
        cured = [name for name, each in seen.items() if "after" in each and not each["after"]]
        own = {"docker", "plain", "plain, by its network", "plain, answers only", "no answers", "legacy"}
        self.assertEqual(set(cured) & own, own)
        self.assertIn("DOCKER-USER", seen["docker"]["said"])
        self.assertIn("ufw route allow in on morph0", seen["ufw"]["said"])
        self.assertIn("firewall-cmd --permanent --zone=trusted", seen["firewalld"]["said"])


class RivalTests(SynchronousTestCase):
    def test_client(self) -> None:
        """
        Whatever somebody takes from a client is back without a regular look (figure H9), and all of it; what nobody
        touched is not taken for touched; and the DNS servers that DHCP wrote last come back in the end.
        """
        seen = observe("client_and_rivals")
        self.assertEqual(seen["untouched"], [])
        acts = ["no_rules", "no_routes", "no_addresses", "down", "no_table", "one_rule", "dhcp", "appended"]
        self.assertEqual(seen["back"], dict.fromkeys(acts, True))
        self.assertEqual(seen["still"], {act: [] for act in acts})
        self.assertEqual(seen["resolv"], "search hotel.example\nnameserver 192.168.8.1\n")

    def test_gateway(self) -> None:
        """Likewise of a gateway; the kernel tells of forwarding too."""
        seen = observe("gateway_and_rivals")
        self.assertEqual(seen["untouched"], [])
        self.assertEqual(seen["back"], {"no_table": True, "no_forwarding": True})
        self.assertEqual(seen["still"], {"no_table": [], "no_forwarding": []})

    def test_nobody(self) -> None:
        """Uplinks that come and go, with what the kernel drops along with them, are nobody's doing; and all stands."""
        self.assertEqual(observe("nobody_fights"), {"warnings": [], "still": []})

    def test_files(self) -> None:
        """A file is watched however it gets another content, also behind a link; its neighbours are not."""
        seen = observe("replaced_files")
        self.assertFalse(seen.pop("a neighbour"))
        self.assertEqual([name for name, heard in seen.items() if not heard], [])
