"""A WireGuard of wg-quick is wrapped and unwrapped: the real wg-quick, on Debian's wireguard-go."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import ClassVar

from morphnet.lab.topologies import SERVER
from tests.lab.case import LabCase, Plan
from tests.lab.wireguard import INNER, MTU, WireGuard, lacking

SERVICE = 51820  # UDP port of the server's WireGuard
FAR = "10.99.0.1"  # an address that only the server has, and only the default route leads to
FAR6 = "fd99::1"
NO_DNS = "nameserver 192.0.2.53\n"  # where nobody answers

# As a person writes one: a comment, another case, spaces, a word behind the number; keys and places are filled in.
CONFIG = """\
# by hand; do not lose me
[Interface]
PrivateKey = {private}
Address = 10.9.0.2/24, fd09::2/64
mtu=1420
{more}PostUp = touch {dir}/up-%i
PostDown = rm -f {dir}/up-%i

[Peer]   # the office
PublicKey = {public}
Endpoint = {server}:51820
AllowedIPs = 0.0.0.0/0, ::/0
"""
OWN_TABLE = """\
FwMark = 0x1234
Table = 77
PostUp = ip -4 rule add not fwmark 0x1234 table 77; ip -6 rule add not fwmark 0x1234 table 77
PreDown = ip -4 rule del not fwmark 0x1234 table 77; ip -6 rule del not fwmark 0x1234 table 77
"""


class WrapTests(LabCase):
    """wg0 takes the default route, so that everything but what is bound to an uplink goes into it."""

    plan: ClassVar[Plan] = Plan(
        server=(("carry_services", f"wireguard=127.0.0.1:{SERVICE}"),),
        client=(("routes", "10.73.0.0/24"),),
    )
    skip = LabCase.skip or lacking("wireguard-go", "wg", "wg-quick")

    def setUp(self) -> None:
        super().setUp()
        self.there = WireGuard(self.box.node("server"), "server")
        self.addCleanup(self.there.end)
        self.there.listen(SERVICE)
        addresses = [f"{INNER['server']}/24", "fd09::1/64", f"{FAR}/32", f"{FAR6}/128"]
        self.box.change("server", [("up", "wg0", MTU), *(("add_address", "wg0", each) for each in addresses)])
        self.dir = Path(self.here.dir)
        self.conf = self.dir / "wg0.conf"
        (self.dir / "run" / "wireguard").mkdir(parents=True, exist_ok=True)
        self.private = self.run_here("wg", "genkey").strip()
        (self.dir / "private").write_text(self.private)
        public = self.run_here("sh", "-c", f"wg pubkey < {self.dir}/private").strip()
        there = self.server.node.run(
            ["wg", "set", "wg0", "private-key", str(self.there.key), "peer", public, "allowed-ips", "10.9.0.2,fd09::2"]
        )
        self.assertEqual(there.returncode, 0, there.stderr)

    def run_here(self, *words: str) -> str:
        """A command in the client's node; it has to succeed."""
        done = self.here.run(list(words), timeout=30)
        self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
        return str(done.stdout)

    def quick(self, verb: str) -> str:
        """wg-quick up, or down."""
        return self.run_here("env", "WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go", "wg-quick", verb, str(self.conf))

    def morphnet(self, *words: str) -> str:
        return self.client.morphnet(*words, "--file", str(self.conf), "--dir", str(self.client.etc))

    def rules(self) -> list[str]:
        """All but ours, which stand in the order in which uplinks were found."""
        told = self.run_here("ip", "-4", "rule") + self.run_here("ip", "-6", "rule")
        return [line for line in told.splitlines() if "proto 73" not in line]

    def write(self, more: str) -> bytes:
        """The file as it is before."""
        words = {"private": self.private, "public": self.there.public, "server": SERVER, "dir": self.dir}
        self.conf.write_text(CONFIG.format(more=more, **words))
        self.conf.chmod(0o600)
        return self.conf.read_bytes()

    def test_wrapped(self) -> None:
        """
        With wg-quick's own mark and table, then with others: no loop, no name is needed, large packets pass, the client
        begins anew behind wg0, WireGuard is restarted; and all is put back, byte for byte.
        """
        self.here.resolv(NO_DNS)
        for more in ("", OWN_TABLE):
            self.wrapped(more)

    def wrapped(self, more: str) -> None:
        before, client, rules = self.write(more), self.toml().read_bytes(), self.rules()
        self.assertIn("Nothing was changed", self.morphnet("wrap", "wg0"))
        self.assertEqual((self.conf.read_bytes(), self.toml().read_bytes()), (before, client))
        told = self.morphnet("wrap", "wg0", "--apply")
        self.assertNotIn(self.private, told)
        self.assertEqual(re.findall(r"^(?:Endpoint|mtu) ?= ?(.*)$", self.conf.read_text(), re.MULTILINE),
                         ["1331", "127.0.0.1:51821"])  # fmt: skip
        self.client.stop()
        self.client.start()
        self.both_active()
        self.quick("up")
        self.addCleanup(self.here.run, ["ip", "link", "del", "wg0"])
        self.passes()
        first = self.handshake_at()
        self.client.stop()  # it begins anew, with everything drawn into wg0
        self.client.start()
        self.both_active()
        self.passes()
        self.assertEqual(self.handshake_at(), first)
        self.quick("down")
        self.quick("up")  # another process, another handshake
        self.passes()
        self.quick("down")
        self.assertIn("is as it was before", self.morphnet("unwrap", "wg0"))
        self.assertEqual((self.conf.read_bytes(), self.toml().read_bytes(), self.rules()), (before, client, rules))
        self.assertFalse((self.dir / "up-wg0").exists())
        self.client.stop()
        self.client.start()
        self.both_active()

    def toml(self) -> Path:
        return self.client.etc / "client.toml"

    def handshake_at(self) -> int:
        words = self.run_here("wg", "show", "wg0", "latest-handshakes").split()
        return int(words[1])

    def passes(self) -> None:
        """Echoes by the default route, full ones too; what is seen on the uplinks is not what is sent there again."""
        self.assertTrue((self.dir / "up-wg0").exists())
        self.assertIn("dev wg0", self.run_here("ip", "route", "get", FAR))
        sent = self.sent_bytes()
        for host in (INNER["server"], FAR):
            self.breathes(host)
        self.assertEqual(self.ping("--count", "20", "--size", str(1331 - 28), host=FAR).wait()["lost"], 0)
        self.run_here("ping", "-6", "-c", "3", "-i", "0.2", "-W", "2", FAR6)
        self.assertLess(self.sent_bytes() - sent, 200_000)  # 60 echoes, and what our own ends say: no loop

    def sent_bytes(self) -> int:
        """By both uplinks."""
        links = json.loads(self.run_here("ip", "-s", "-j", "link"))
        return sum(each["stats64"]["tx"]["bytes"] for each in links if each["ifname"] in ("wan0", "wan1"))
