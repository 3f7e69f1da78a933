"""A machine with uplinks and a TUN, made in the network namespace that we are in, and a picture of its state."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from morphnet.host.linux import LinuxKernel
from morphnet.host.netlink import NETLINK_NETFILTER, NetlinkSocket

Seen = dict[str, Any]
RESOLV = "/etc/resolv.conf"
LOCAL_TABLE = 255


def mount_private(place: Path) -> None:
    """A resolv.conf and a /run/systemd of our own, and no tools on the way: the machine is what the test says."""
    (place / "resolv.conf").write_text("nameserver 192.168.5.1\n")
    subprocess.run(["mount", "--bind", str(place / "resolv.conf"), RESOLV], check=True)
    os.environ["PATH"] = "/nonexistent"


def add_uplink(ip: Any, name: str, net: str) -> int:
    """A veth with an address and a default route; its other end, NAME + "p", only listens."""
    ip.link("add", ifname=name, kind="veth", peer={"ifname": name + "p"})
    index, peer = (ip.link_lookup(ifname=each)[0] for each in (name, name + "p"))
    ip.link("set", index=peer, state="up")
    return plug_in(ip, index, net)


def plug_in(ip: Any, index: int, net: str) -> int:
    """What a DHCP client does once there is a carrier."""
    ip.link("set", index=index, state="up")
    ip.addr("add", index=index, address=f"192.168.{net}.2", prefixlen=24)
    ip.addr("add", index=index, address=f"2001:db8:{net}::2", prefixlen=64, flags=2)
    ip.route("add", dst="0.0.0.0/0", gateway=f"192.168.{net}.1", oif=index, priority=100 + index)
    ip.route("add", dst="::/0", gateway="fe80::1", oif=index, priority=100 + index, family=socket.AF_INET6)
    return index


def open_tun(name: str = "morph0") -> int:
    """A TUN, as long as its descriptor is open."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, 0x400454CA, struct.pack("=16sH22x", name.encode(), 0x1001))
    return tun


def machine() -> tuple[Any, int]:
    """A netlink socket, and the TUN, of a machine with one uplink."""
    LinuxKernel().set_sysctl("net/ipv6/conf/default/accept_dad", "0")  # no address that is tentative for a second
    ip = IPRoute()
    ip.link("set", index=1, state="up")
    add_uplink(ip, "wan", "5")
    _await_local(ip, ("wan", "wanp"))
    return ip, open_tun()


def _await_local(ip: Any, names: Sequence[str]) -> None:
    """
    The kernel gives each a link-local address when it looks at its carrier, up to a second later when busy: what
    was seen before would differ from what is seen after.
    """
    wanted = {ip.link_lookup(ifname=name)[0] for name in names}
    for _ in range(500):
        routes = ip.get_routes(family=socket.AF_INET6, table=LOCAL_TABLE)
        own = {each.get_attr("RTA_OIF") for each in routes if str(each.get_attr("RTA_DST")).startswith("fe80::")}
        if wanted <= own:
            return
        time.sleep(0.02)
    raise AssertionError(f"no link-local addresses at {' and '.join(names)} within 10 s")


def snapshot() -> Seen:
    """All that morphnet might change, without counters and timers."""
    with IPRoute() as ip:
        volatile = ("RTA_CACHEINFO", "IFA_CACHEINFO")

        def plain(found: Any) -> list[str]:
            return sorted(
                str([(k, each[k]) for k in ("family", "dst_len", "src_len", "table", "type", "scope") if k in each])
                + str([attr for attr in each["attrs"] if attr[0] not in volatile])
                for each in found
            )

        links = [
            (link.get_attr("IFLA_IFNAME"), link["flags"] & 1, link.get_attr("IFLA_MTU"), link.get_attr("IFLA_GROUP"))
            for link in ip.get_links()
        ]
        seen: Seen = {
            "rules": plain(ip.get_rules()),
            "routes": plain(ip.get_routes()),
            "addresses": plain(ip.get_addr()),
            "links": sorted(links),
        }
    asking = NetlinkSocket(NETLINK_NETFILTER)
    seen["nft"] = [each.hex() for each in asking.dump(10 << 8 | 1, bytes(4))]
    asking.close()
    kernel = LinuxKernel()
    names = ["net/ipv4/ip_forward"]
    for what in ("forwarding", "accept_ra", "accept_redirects"):
        names += kernel.sysctls(f"net/ipv[46]/conf/*/{what}")
    seen["sysctls"] = {name: kernel.sysctl(name) for name in names}
    seen["resolv.conf"] = Path(RESOLV).read_text()
    return seen
