"""Which way packets go on a machine with a tunnel: cases of tests.lab.host_box."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from morphnet.host.dns import Wish
from morphnet.host.host import ClientNetwork, Host
from morphnet.host.linux import LinuxKernel
from morphnet.host.uplinks import UplinkScan
from tests.lab.host_machine import Seen, add_uplink, machine, open_tun

WHOLE = ClientNetwork("morph0", "10.73.0.2", "fd73::2", 1400, ("default", "10.99.0.0/16"), Wish(("10.98.7.53",)))
SPLIT = ClientNetwork("morph1", "10.74.0.2", "", 1400, ("10.74.0.0/24",))
STRANGE = (
    ("half of the world", "route add 0.0.0.0/1 via 192.168.5.1 dev wan proto dhcp", "8.8.8.8"),
    ("one host", "route add 8.8.4.4/32 via 192.168.5.1 dev wan", "8.8.4.4"),
    ("one host on-link", "route add 10.98.0.9/32 dev wan proto static", "10.98.0.9"),
    ("a short mask", "addr add 8.0.0.77/6 dev wan", "9.9.9.9"),
    ("half of the world, IPv6", "route add 2000::/4 via fe80::1 dev wan proto ra", "2001:4860::1"),
    ("a network like a chosen one", "addr add 10.99.0.77/16 dev wan", "10.99.3.3"),
    ("a network that holds our DNS server", "addr add 10.98.7.2/24 dev wan", "10.98.7.53"),
    ("local network", "addr add 192.168.77.2/24 dev wan", "192.168.77.9"),
    ("containers", "addr add 172.17.0.1/16 dev br0", "172.17.0.9"),
    ("second network", "route add 198.51.100.0/24 via 172.17.0.9 dev br0", "198.51.100.1"),
)


def shell(*commands: str) -> None:
    """Run `ip` commands."""
    for words in commands:
        subprocess.run(["/sbin/ip", *words.split()], check=True)


def first_hop(ip: Any, to: str, **more: Any) -> str:
    """The device by which packets go there."""
    index = {link["index"]: link.get_attr("IFLA_IFNAME") for link in ip.get_links()}
    found = ip.route("get", dst=to, family=socket.AF_INET6 if ":" in to else socket.AF_INET, **more)[0]
    return str(index[found.get_attr("RTA_OIF")])


def up(host: Host, network: ClientNetwork, *chosen: str) -> None:
    """What a client does when its session begins."""
    host.set_uplinks(UplinkScan(chosen, ("morph0", "morph1"))())
    host.client_up(network)


def strange_routes(place: Path) -> Seen:
    """A network that is not ours sets routes, and the machine has networks of its own: at once, and once seen."""
    ip, _ = machine()
    host, seen = Host(place / "journal"), {}
    up(host, WHOLE)
    shell("link add br0 type veth peer name brp", "link set brp up", "link set br0 up")
    for name, words, asked in STRANGE:
        shell(words)
        at_once = first_hop(ip, asked)
        host.keep_outside()
        seen[name] = [at_once, first_hop(ip, asked)]
    host.client_up(replace(WHOLE, local=False))
    seen["local network, denied"] = [first_hop(ip, "192.168.5.77")]
    host.down()
    return seen


def two_of_us(place: Path) -> Seen:
    """One that takes everything, and one that takes its own network; the second stops, and the first goes on."""
    ip, _ = machine()
    open_tun("morph1")
    one, two = Host(place / "one" / "journal"), Host(place / "two" / "journal")
    up(one, WHOLE)
    up(two, SPLIT)
    one.keep_outside()
    hosts = ("10.73.0.1", "10.74.0.1", "8.8.8.8", "192.168.5.77")
    both = [first_hop(ip, to) for to in hosts]
    two.down()
    one.keep_outside()
    return {"both": both, "one": [first_hop(ip, to) for to in hosts]}


def own_table(place: Path) -> Seen:
    """The default route of a second provider is in a table of its own, as its rule for the address says."""
    ip, _ = machine()
    lte = add_uplink(ip, "lte", "6")
    shell("route del default dev lte", "-6 route del default dev lte")
    shell("route add default via 192.168.6.1 dev lte table 100", "rule add from 192.168.6.2 lookup 100")
    host, seen = Host(place / "journal"), {}
    for name, chosen in (("found", ()), ("named", ("wan", "lte"))):
        up(host, WHOLE, *chosen)
        seen[name] = {
            "answer": first_hop(ip, "8.8.8.8", src="192.168.6.2"),
            "bound": first_hop(ip, "8.8.8.8", oif=lte),
            "marked": first_hop(ip, "8.8.8.8", mark=7302),
            "anyone": first_hop(ip, "8.8.8.8"),
        }
    host.down()
    return seen


def address_inside_too(place: Path) -> Seen:
    """An uplink comes to have the address that we have inside, and loses it: what is guarded, and what rules go by."""
    machine()
    host, seen = Host(place / "journal"), []
    up(host, WHOLE)
    for words in ("link set wan up", "addr add 10.73.0.2/24 dev wan", "addr del 10.73.0.2/24 dev wan"):
        shell(words)
        host.keep_outside()
        guards = [part for part in LinuxKernel().nft_outline("morphnet_morph0") if part[:2] == ("rule", "guard")]
        answers = LinuxKernel().nft_outline("morphnet_morph0_answers")
        sources = [rule.source for rule in LinuxKernel().our_rules() if rule.source == "10.73.0.2"]
        seen.append([len(guards), bool(answers), sources])
    host.down()
    return {"seen": seen}


def twins(place: Path) -> Seen:
    """Two uplinks have one address: where an answer goes, by the mark of what came in; and without a mark."""
    ip, _ = machine()
    add_uplink(ip, "lte", "6")
    shell(
        "addr flush dev lte", "addr add 192.168.5.2/24 dev lte", "route add default via 192.168.5.1 dev lte metric 900"
    )
    host = Host(place / "journal")
    up(host, WHOLE)
    seen = [first_hop(ip, "8.8.8.8", src="192.168.5.2", mark=mark) for mark in (7301, 7302, 0)]
    marked = bool(LinuxKernel().nft_outline("morphnet_morph0_answers"))
    host.down()
    return {"seen": seen, "marked": marked}
