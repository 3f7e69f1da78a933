"""Flows over several uplinks without a server: what leaves by which, what becomes of it, and what is left behind."""

from __future__ import annotations

import re
import sys
import time

from morphnet.lab.topologies import SERVER, SERVER6
from morphnet.roles.balance.process import BalanceProcess
from tests.lab.balance_case import LAN, LAN_NODE, NO_VPN, SECOND, SEEN, BalanceCase, world

SILENT = "no target answers"
APART = 0.25  # seconds between flows that are begun while an uplink dies
FINE_FROM, FAILS_FAST = round(3.0 / APART), round(5.0 / APART)  # new flows are fine then, old ones have failed
SECOND6 = "2001:db8:ffff::fe"  # of the router before the server: another target
# Whatever is asked of anybody by wan0 is answered by the router: echoes, names, and a page.
PORTAL = """
nft add table ip portal
nft add chain ip portal pre '{ type nat hook prerouting priority -101; }'
nft add rule ip portal pre iifname lan meta l4proto icmp dnat to 192.168.1.1
nft add rule ip portal pre iifname lan udp dport 53 redirect to :53
nft add rule ip portal pre iifname lan meta l4proto tcp redirect to :80
"""
ONE_ADDRESS = """
nft add table ip cgn; nft add chain ip cgn post '{ type nat hook postrouting priority 100; }'
nft add rule ip cgn post oifname hosting masquerade
"""
DEAF = """
nft add table ip deaf; nft delete table ip deaf; nft add table ip deaf
nft add chain ip deaf in '{{ type filter hook input priority 0; policy drop; }}'
nft add rule ip deaf in {but} accept
"""
VPN = """
ip link add vpn0 type veth peer name vpn1; ip link set vpn1 up; ip link set vpn0 up; ip addr add 10.7.0.1/24 dev vpn0
ip route add default via 10.7.0.2 dev vpn0 table 51820
ip rule add not fwmark 51820 table 51820; ip rule add table main suppress_prefixlength 0
"""
WAYS = "ip route get 203.0.113.1; ip route get 203.0.113.1 mark 51820"
INWARDS = """
nft add table ip inw; nft add chain ip inw pre '{ type nat hook prerouting priority -100; }'
nft add rule ip inw pre iifname wan tcp dport 2222 dnat to 192.168.1.2:2222
nft add chain ip inw f '{ type filter hook forward priority 0; }'
"""
FILTERED = "nft add rule ip inw f iifname lan ct direction original drop"
LISTEN = """
import socket, threading
opened = socket.create_server(("", 2222))
print("ready", flush=True)
def echo(flow):
    while data := flow.recv(99):
        flow.send(data)
while True:
    threading.Thread(target=echo, args=(opened.accept()[0],), daemon=True).start()
"""
CALL = """
import socket, sys
def call():
    flow = socket.create_connection(("198.51.100.2", 2222), 3)
    say(flow)
    return flow
def say(flow):
    flow.settimeout(3)
    flow.send(b"x")
    assert flow.recv(9) == b"x"
first = call()
print("ready", flush=True)
sys.stdin.readline()
say(first)
call()
print("well", flush=True)
"""
NO_IPV6 = "nft add table ip6 x; nft add chain ip6 x f '{ type filter hook forward priority 0; policy drop; }'"
RECOVER = """
import sys
from pathlib import Path
from morphnet.host.host import Host
host = Host(Path(sys.argv[1]))
assert host.recover() > 10
host.down()
"""  # what a client does first that does not balance
SHOWN = (  # of routing and nftables, but for what counts
    "ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; nft list ruleset;"
    " cat /proc/sys/net/ipv4/fib_multipath_hash_policy /proc/sys/net/ipv4/conf/*/rp_filter"
)


class BalanceTests(BalanceCase):
    """One uplink dies and comes back; all of it is undone."""

    def test_both_and_one_dies(self) -> None:
        """
        Of four flows two go by each uplink. One uplink falls silent, and 20 flows are begun, four a second: all are
        fine but for the first twelve, and by the last the flows of that uplink are reset, and no other; when it is
        back, living flows stay where they are, and new ones use both.
        """
        daemon = self.balancing()
        self.all_up(daemon)
        flows = self.flows()
        first = flows.open(4)
        self.assertEqual(sorted(first), sorted([*SEEN.values()] * 2))
        self.box.wire("wan0").black_hole()
        begun = flows.begin(FAILS_FAST, APART)
        self.assertEqual(flows.resets(), first.count(SEEN["wan0"]))
        self.assertEqual(begun[FINE_FROM:], [SEEN["wan1"]] * (FAILS_FAST - FINE_FROM))
        well = len(begun) - begun.count("")
        self.assertEqual(flows.alive(), {SEEN["wan1"]: 2 + well})
        self.assertEqual(self.states(daemon), {"wan0": "lost", "wan1": "up"})
        self.box.wire("wan0").heal()
        self.all_up(daemon)
        self.assertIn(SEEN["wan0"], flows.open(4))
        self.assertEqual(flows.alive()[SEEN["wan1"]], 4 + well)
        self.assertEqual(daemon.status()["warnings"], [])  # nobody has to mend anything

    def test_undone(self) -> None:
        """
        After a stop, and after `kill -9` when it is started in another mode, the machine is as it was before; at the
        stop flows go on by its own default route or are reset, and none hangs.
        """
        before = self.shell("client", SHOWN)
        daemon = self.balancing()
        self.all_up(daemon)
        between = self.shell("client", SHOWN)
        self.assertIn("morphnet_balance", between)
        self.assertEqual(between.count("nexthop via 192.168."), 2)
        flows = self.flows()
        self.assertEqual(sorted(flows.open(4)), sorted([*SEEN.values()] * 2))
        daemon.stop()
        self.assertEqual(self.shell("client", SHOWN), before)
        alive = flows.alive()
        self.assertLessEqual(set(alive), {SEEN["wan0"]})
        self.assertEqual(flows.resets() + sum(alive.values()), 4)  # none hangs
        daemon.start()
        self.all_up(daemon)
        daemon.kill()
        self.assertNotEqual(self.shell("client", SHOWN), before)
        self.box.wire("wan0").black_hole()
        self.box.wire("wan1").black_hole()
        daemon.start()  # and finds no uplink that leads out: only what comes in by one is kept on it
        self.until("both are dead", lambda: {each["why"] for each in daemon.status()["uplinks"]} == {SILENT})
        rules = self.shell("client", "ip rule; ip -6 rule | grep -v oif")
        self.assertEqual(re.findall(r"fwmark (?!0x11c8)|327[0-9]{2}:(?!.*lookup (?:main|default))", rules), [])
        daemon.kill()
        self.assertNotEqual(self.shell("client", SHOWN), before)
        done = self.here.run([sys.executable, "-c", RECOVER, str(daemon.etc / "state" / BalanceProcess.state)])
        self.assertEqual((done.returncode, self.shell("client", SHOWN)), (0, before), done.stderr)


class DoubtTests(BalanceCase):
    """What tells whether an uplink leads out, and what is left alone."""

    def test_one_is_enough(self) -> None:
        """With one of two targets dead each method by itself keeps an uplink up; with none of them it is dead."""
        daemon = self.balancing()
        self.all_up(daemon)
        changes = daemon.status()["counters"]["balance_changes"]
        self.shell("isp", DEAF.format(but="tcp dport 1"))
        for but in ("ip protocol icmp", "udp dport 53", "tcp dport 443"):
            self.shell("server", DEAF.format(but=but))
            time.sleep(2.8)
            self.assertEqual(daemon.status()["counters"]["balance_changes"], changes, but)
        self.shell("server", DEAF.format(but="tcp dport 1"))
        self.until("none leads out", lambda: set(self.states(daemon).values()) == {"lost"})
        self.assertEqual(daemon.status()["headline"], "no uplink leads out")

    def test_flaps(self) -> None:
        """One uplink comes and goes 20 times: not one flow of the other is reset, and new ones begin all the while."""
        daemon = self.balancing()
        self.all_up(daemon)
        flows = self.flows()
        begun = flows.open(4)
        for turn in range(20):
            self.box.link_down("client", "wan0")
            time.sleep(0.15)
            self.box.link_up("client", "wan0")
            time.sleep(0.15)
            if turn % 5 == 0:
                begun += flows.open(1)
        self.assertNotIn("", begun)
        alive = flows.alive()
        self.assertEqual(alive[SEEN["wan1"]], begun.count(SEEN["wan1"]))
        self.assertEqual(flows.resets(), begun.count(SEEN["wan0"]) - alive.get(SEEN["wan0"], 0))  # none hangs
        self.until("it is told", lambda: daemon.status()["counters"]["balance_changes"] >= 3)

    def test_portal(self) -> None:
        """A captive portal that answers everything is dead: at the start, and when it comes later."""
        portal = world(self.box, "nat0", "portal")
        self.addCleanup(portal.kill)
        self.shell("nat0", PORTAL)
        daemon = self.balancing()
        self.until("wan1 leads out", lambda: self.states(daemon).get("wan1") == "up")
        time.sleep(3.0)  # rounds in which the portal answers
        (lost,) = [each for each in daemon.status()["uplinks"] if each["name"] == "wan0"]
        self.assertEqual((lost["state"], "captive portal" in lost["why"]), ("lost", True), lost)
        self.assertIn("captive portal", daemon.morphnet("status", "--dir", str(daemon.etc)))
        self.assertEqual(self.flows().open(4), [SEEN["wan1"]] * 4)
        self.shell("nat0", "nft delete table ip portal")
        portal.kill()
        self.all_up(daemon)

    def test_one_address(self) -> None:
        """Two uplinks behind one external address are pointed out, in `status` and among what has happened."""
        self.shell("server", "ip addr add 203.0.113.9/24 dev eth0")
        self.shell("isp", ONE_ADDRESS)
        daemon = self.balancing(**{"balance.targets": [SERVER, "203.0.113.9"]})
        self.until("it is told", lambda: any(each["kind"] == "uplinks-shared" for each in daemon.happenings()))
        (warning,) = [each for each in daemon.status()["warnings"] if SECOND in each]
        self.assertIn("wan0 and wan1 are both seen at", warning)

    def test_came_in(self) -> None:
        """What came in by an uplink goes on while nothing that we ask by it is answered, and new callers come in."""
        self.shell("nat0", INWARDS)
        self.piped("client", LISTEN)
        daemon = self.balancing()
        self.all_up(daemon)
        caller = self.piped("server", CALL)
        self.shell("nat0", FILTERED)
        self.until("wan0 is dead", lambda: self.states(daemon)["wan0"] == "lost")
        self.assertEqual(caller.communicate("go\n")[0], "well\n")

    def test_vpn_first(self) -> None:
        """A VPN that was up before keeps what it takes, and is told of; when it goes, all is dealt out."""
        self.shell("client", VPN)
        before = self.shell("client", WAYS)
        self.assertIn("vpn0", before)
        daemon = self.balancing(uplinks=["wan0", "wan1"])
        self.all_up(daemon)
        self.assertEqual(self.shell("client", WAYS), before)
        self.assertTrue(any("IPv4: somebody else" in each for each in daemon.status()["warnings"]))
        self.shell("client", NO_VPN)
        self.until("it is over", lambda: daemon.status()["warnings"] == [])
        self.assertIn("32701:", self.shell("client", "ip rule"))

    def test_families(self) -> None:
        """IPv6 dies on one uplink: its IPv6 flows are reset, its IPv4 flows stay; new IPv6 flows go by the other."""
        daemon = self.balancing(**{"balance.targets": [SERVER, SECOND, SERVER6, SECOND6]})
        self.all_up(daemon)
        self.until("both families", lambda: all("IPv6 1 of 2" in each["share"] for each in daemon.status()["uplinks"]))
        fours, sixes = self.flows(), self.flows(SERVER6)
        self.assertEqual(sorted(fours.open(4)), sorted([*SEEN.values()] * 2))
        self.assertEqual(sorted(sixes.open(4)), ["2001:db8:1::2"] * 2 + ["2001:db8:2::2"] * 2)
        self.shell("nat0", NO_IPV6)
        sixes.until_reset(2, within=5.0)
        self.assertEqual(sixes.open(2), ["2001:db8:2::2"] * 2)
        self.assertEqual(sum(fours.alive().values()), 4)

    def test_forwarded(self) -> None:
        """Machines behind this one use both uplinks, and what they send by a dead one begins anew."""
        self.shell("client", LAN)
        daemon = self.balancing()
        self.all_up(daemon)
        flows = self.flows(SERVER, *LAN_NODE)
        first = flows.open(12)
        self.assertEqual(set(first), set(SEEN.values()))
        self.box.wire("wan0").black_hole()
        self.until("wan0 is dead", lambda: self.states(daemon)["wan0"] == "lost")
        self.assertEqual(flows.alive(), {SEEN["wan1"]: first.count(SEEN["wan1"])})
        flows.say()
        flows.until_reset(first.count(SEEN["wan0"]), within=5.0)
        self.assertEqual(flows.open(2), [SEEN["wan1"]] * 2)
