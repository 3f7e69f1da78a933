"""Phones: real wireguard-go, by the configuration that `morphnet invite NAME --wireguard` prints, at a real gateway."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.policy import MOST_RULES, Policy, Rule
from morphnet.host.kernel import Missing, Present
from morphnet.host.linux import LinuxKernel
from morphnet.host.look import Look
from morphnet.host.phone_policy import Known, PhonePolicy, phone_lines
from morphnet.host.wireguard import WireGuardLink, new_link
from morphnet.lab.box import Box
from morphnet.lab.topologies import SERVER, WORLD
from morphnet.lab.vpn import INNER_SERVER, Vpn, wait_for
from tests.lab.laptop import TOUCHED
from tests.lab.scene import NOT_HERE
from tests.lab.test_networks import BoxCase, office
from tests.lab.wireguard import lacking

DEVICE, PORT = "morphwg0", 51820
JUDGE = "morphnet_morph0_phones"  # the table
PHONE, LAPTOP = "10.73.0.3", "10.73.0.2"
POLICY = """
[[allow]]
from = "phone"
to = "gateway"
ports = ["22/tcp", "icmp"]
[[allow]]
from = "10.73.0.2"
to = "phone"
ports = "icmp"
"""


class DeviceTests(SynchronousTestCase):
    """A kernel's own device, of a kind that each kernel has: not each has WireGuard."""

    skip = NOT_HERE
    rootless = False

    def test_made_and_gone(self) -> None:
        """Our messages make one, once, and take it away."""
        kernel = LinuxKernel()
        made = new_link("morphwgx", "bridge")
        kernel.routing(made)
        self.assertFalse(kernel.link("morphwgx").up)
        self.assertRaises(Present, kernel.routing, made)
        WireGuardLink("morphwgx", True).undo(kernel)
        self.assertRaises(Missing, kernel.link, "morphwgx")

    def test_long_policy(self) -> None:
        """The kernel takes what the longest policy says of phones, in one step."""
        kernel = LinuxKernel()
        rule = Rule(1, ("*",), ("gateway", "world"), ("22/tcp", "icmp"))
        known = Known(Policy([rule] * MOST_RULES), {"gateway": (INNER_SERVER,)}, ("10.73.0.0/24",))
        table = PhonePolicy("morphwgx", "morphx", phone_lines(known, {"phone": (PHONE,)}))
        table.apply(kernel)
        self.addCleanup(table.undo, kernel)
        self.assertTrue(table.stands(Look(kernel)))


class PhonesTests(BoxCase):
    """The desk, behind its router, is the phone; a laptop comes by morphnet."""

    skip = BoxCase.skip or lacking("wireguard-go", "wg", "wg-quick")

    def setUp(self) -> None:
        self.box = Box(office())
        self.box.start()
        self.addCleanup(self.box.stop)
        self.vpn = Vpn(self.box, SERVER)
        self.addCleanup(self.vpn.stop)
        self.gateway, self.phone = self.box.node("server"), self.box.node("desk")
        (Path(self.gateway.dir) / "run" / "wireguard").mkdir(parents=True, exist_ok=True)
        self.before = self.touched()
        self.vpn.found()
        self.vpn.join()

    # -- what is done

    def morphnet(self, *words: str) -> str:
        return self.vpn.server.morphnet(*words, "--dir", str(self.vpn.server.etc))

    def ran(self, node: str, *words: str, env: str = "") -> str:
        done = self.box.node(node).run(["env", *env.split(), *words], timeout=30)
        self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
        return str(done.stdout)

    def quick(self, verb: str) -> None:
        """The phone's app."""
        (Path(self.phone.dir) / "run" / "wireguard").mkdir(parents=True, exist_ok=True)
        self.ran("desk", "wg-quick", verb, str(self.conf), env="WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go")

    @property
    def conf(self) -> Path:
        return Path(self.phone.dir) / "phone.conf"

    def pings(self, node: str, host: str, *more: str, patience: float = 2.0) -> bool:
        words = ["ping", "-n", "-c", "1", "-W", str(patience), *more, host]
        return self.box.node(node).run(words).returncode == 0

    def unheard(self, node: str, host: str, *more: str) -> None:
        """Nothing comes back."""
        self.assertFalse(self.pings(node, host, *more, patience=0.5))

    def phones(self) -> list[dict[str, Any]]:
        """As the gateway has them."""
        return list(self.vpn.server.ask({"ask": "phones"})["phones"])

    def child(self) -> int:
        """The gateway's wireguard-go; 0 for none."""
        found = self.gateway.run(["pgrep", "-P", str(self.vpn.server.pid()), "wireguard-go"])
        return int(str(found.stdout).strip() or 0)

    def comes(self, what: str) -> None:
        """The phone is reached, without a hand laid upon it."""
        wait_for(what, lambda: self.pings("client", PHONE))

    def echoes(self) -> int:
        """Requests that the gateway itself was sent, since its start."""
        names, numbers = (line.split() for line in self.ran("server", "grep", "^Icmp:", "/proc/net/snmp").splitlines())
        return int(numbers[names.index("InEchos")])

    def touched(self) -> str:
        return self.ran("server", "sh", "-c", f"{TOUCHED}; ip -br link; ls /run/wireguard")

    # -- what is shown

    def test_phone(self) -> None:
        """
        It reaches gateway, client and world, and clients reach it; nobody else shows its address, nor it another's;
        it is back when the WireGuard of the gateway, or the gateway, was killed; revoked it is out; all is undone.
        """
        self.assertIn("wireguard.listen: applied", self.morphnet("set", "wireguard.listen", f"0.0.0.0:{PORT}"))
        told = json.loads(self.morphnet("invite", "phone", "--wireguard", "--json"))
        self.assertEqual(told["addresses"][0], PHONE)
        lines = told["config"].splitlines(keepends=True)  # this box has no resolvconf, which wg-quick would need
        self.conf.write_text("".join(line for line in lines if not line.startswith("DNS")))
        self.quick("up")
        self.addCleanup(self.phone.run, ["ip", "link", "del", "phone"])  # and its process ends
        wait_for("the phone has come", lambda: self.pings("desk", INNER_SERVER))
        self.reaches()
        self.guarded()
        self.judged()
        os.kill(self.child(), signal.SIGKILL)
        wait_for("there is another child", lambda: self.child() > 0)
        self.comes("it is back after the child's end")
        child = self.child()
        self.vpn.server.kill()
        self.ran("server", "nft", "list", "table", "inet", JUDGE)
        wait_for("the child has ended with it", lambda: not Path(f"/proc/{child}").exists())
        self.vpn.server.start()
        self.comes("it is back after the server's end")
        self.assertEqual([self.opens(port) for port in (22, 80)], [True, False])
        self.unheard("world", PHONE)
        self.morphnet("policy", "withdraw")
        wait_for("the policy is withdrawn", lambda: self.opens(80))
        self.assertTrue(self.pings("world", PHONE))
        self.assertIn("has ended it", self.morphnet("revoke", "phone"))
        self.unheard("client", PHONE)
        self.unheard("desk", INNER_SERVER)
        self.assertEqual(self.phones(), [])
        self.vpn.server.stop()
        self.assertEqual(self.touched(), self.before)

    def reaches(self) -> None:
        for node in ("client", "desk", "world"):
            self.serve(node, 9100)
        self.assertEqual(self.seen("desk", LAPTOP), PHONE)
        self.assertEqual(self.seen("client", PHONE), LAPTOP)
        self.assertEqual(self.seen("desk", WORLD), "10.99.0.1")  # the gateway's own, by its NAT
        self.assertTrue(self.pings("desk", INNER_SERVER, "-s", "1392", "-M", "do"))  # all of its MTU
        self.assertTrue(self.pings("desk", "fd73::1"))
        (found,) = self.phones()
        self.assertEqual((found["state"], found["endpoint"].split(":")[0]), ("connected", "198.51.100.6"))
        self.assertGreater(min(found["sent_bytes"], found["received_bytes"]), 1400)

    def judged(self) -> None:
        """What the policy does not allow is not reached, at the gateway and beyond it, from then on; nor the phone."""
        for port in (22, 80):
            self.serve("server", port)
        self.assertTrue(self.opens(80))
        (self.vpn.server.etc / "policy.toml").write_text(POLICY)
        self.morphnet("policy", "publish")
        wait_for("the policy is in force", lambda: not self.opens(80))
        self.assertTrue(self.opens(22))
        self.assertTrue(self.pings("desk", "fd73::1"))
        self.unheard("desk", WORLD)
        before = self.refused()
        self.unheard("desk", WORLD)
        wait_for("what it was refused is counted", lambda: self.refused() > before)
        self.assertIn("by phones: ", self.morphnet("status"))
        self.morphnet("set", "reachable_from", "10.99.0.0/24")  # from the next start on
        self.unheard("server", PHONE)
        self.assertTrue(self.pings("client", PHONE))
        self.assertIn("nobody", self.seen("client", PHONE, patience=0.5))

    def refused(self) -> int:
        """Packets of phones that the policy did not let through, as the gateway tells."""
        return int(self.vpn.server.status()["policy"]["of_phones"])

    def opens(self, port: int) -> bool:
        """Whether the phone reaches the gateway there."""
        return not self.seen("desk", INNER_SERVER, port, 0.5).startswith("nobody")

    def guarded(self) -> None:
        """What comes with an address that is not its sender's is nowhere seen, nor anything from outside."""
        count = self.echoes()
        self.ran("client", "ip", "addr", "add", f"{PHONE}/32", "dev", "lo")
        self.unheard("client", INNER_SERVER, "-I", PHONE)
        self.ran("client", "ip", "addr", "del", f"{PHONE}/32", "dev", "lo")
        self.ran("desk", "ip", "addr", "add", f"{LAPTOP}/32", "dev", "lo")
        self.unheard("desk", INNER_SERVER, "-I", LAPTOP)
        self.ran("desk", "ip", "addr", "del", f"{LAPTOP}/32", "dev", "lo")
        self.assertEqual(self.echoes(), count)
        self.ran("isp", "ip", "route", "add", PHONE, "via", SERVER)
        self.unheard("isp", PHONE)
