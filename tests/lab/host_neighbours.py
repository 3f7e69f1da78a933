"""Neighbours who send to inner addresses, on a real kernel that does not mind lies: cases of host_box. Figure D16."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from morphnet.host.host import ClientNetwork, Host, ServerNetwork
from morphnet.host.linux import LinuxKernel
from tests.lab.host_machine import Seen, machine

PORT, QUIET = 4000, 0.2  # seconds until nothing more comes
CLIENT = ClientNetwork("morph0", "10.73.0.2", "fd73::2", 1400, ("10.73.0.0/24", "fd73::/64"), mss_clamp=False)
GATEWAY = ServerNetwork("morph0", "10.73.0.1/24", "fd73::1/64", 1400, "10.73.0.0/24", "fd73::/64")
# A neighbour's own, the machine's own, inner ones (ours, the gateway's, somebody's), of the world, of no network.
SOURCES = ("192.168.5.77", "192.168.5.2", "10.73.0.2", "10.73.0.1", "10.73.0.9", "8.8.8.8", "127.0.0.1")
SOURCES6 = ("2001:db8:5::77", "2001:db8:5::2", "fd73::2", "fd73::1", "fd73::9", "2001:db8:aaaa::1", "fe80::77")
LEGIT = ("192.168.5.77", "2001:db8:5::77")


def udp(source: str, to: str) -> bytes:
    """One IP packet."""
    ends = ip_address(source).packed + ip_address(to).packed
    body = struct.pack("!HHHH", PORT, PORT, 12, 0) + b"ping"
    total = _sum(ends + struct.pack("!II", 12, 17) + body)
    body = body[:6] + struct.pack("!H", total or 0xFFFF) + body[8:]
    if len(ends) == 32:
        return struct.pack("!IHBB", 6 << 28, len(body), 17, 64) + ends + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0) + ends
    return head[:10] + struct.pack("!H", _sum(head)) + head[12:] + body


def _sum(data: bytes) -> int:
    total: int = sum(each for (each,) in struct.iter_unpack("!H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class _Machine:
    """One that forwards, believes every source, and listens on every address."""

    def __init__(self) -> None:
        self.ip, self.tun = machine()
        kernel = LinuxKernel()
        for name in ("all", "wan", "default"):
            kernel.set_sysctl(f"net/ipv4/conf/{name}/rp_filter", "0")
            kernel.set_sysctl(f"net/ipv4/conf/{name}/accept_local", "1")
        for name in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
            kernel.set_sysctl(name, "1")
        wan = self.ip.link_lookup(ifname="wan")[0]
        mac = bytes.fromhex(self.ip.get_links(wan)[0].get_attr("IFLA_ADDRESS").replace(":", ""))
        self._ethernet = mac + b"\2\0\0\0\0\x09"
        self._wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._wire.bind(("wanp", 0))
        self._heard = [self._listen(family) for family in (socket.AF_INET, socket.AF_INET6)]

    def _listen(self, family: int) -> socket.socket:
        hearing = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            hearing.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        hearing.bind(("", PORT))
        hearing.settimeout(QUIET)
        return hearing

    def neighbour(self, to: str) -> list[str]:
        """A neighbour sends there, under every source: which ones the machine, or the tunnel, got."""
        sources = SOURCES6 if ":" in to else SOURCES
        for source in sources:
            kind = b"\x86\xdd" if ":" in to else b"\x08\0"
            self._wire.send(self._ethernet + kind + udp(source, to))
        return sorted({*self.got(), *self.into_tunnel()})

    def through_tunnel(self, source: str, to: str) -> list[str]:
        """A packet comes out of the tunnel: its source, if the machine got it."""
        os.write(self.tun, udp(source, to))
        return list(self.got())

    def got(self) -> Iterable[str]:
        for hearing in self._heard:
            try:
                while True:
                    yield hearing.recvfrom(100)[1][0].partition("%")[0]
            except TimeoutError:
                pass

    def into_tunnel(self) -> Iterable[str]:
        """Sources of the packets of ours that wait in the TUN."""
        try:
            while True:
                packet = os.read(self.tun, 2000)
                at, size, protocol = (12, 4, packet[9]) if packet[0] >> 4 == 4 else (8, 16, packet[6])
                if protocol == 17 and packet[-4:] == b"ping":
                    yield str(ip_address(packet[at : at + size]))
        except BlockingIOError:
            pass


def neighbours_of_client(place: Path) -> Seen:
    """A client, and what is sent to it by its neighbours and by its peers."""
    box, host = _Machine(), Host(place / "journal")
    seen: Seen = {}
    for clamped in (True, False):  # the VPN's client, and a machine among peers
        host.client_up(replace(CLIENT, mss_clamp=clamped))
        seen[f"reached {clamped}"] = {to: box.neighbour(to) for to in ("10.73.0.2", "fd73::2")}
        as_us = {to: box.neighbour(to) for to in ("10.73.0.1", "10.73.0.9", "fd73::1", "fd73::9")}
        seen[f"as us {clamped}"] = [to for to, sources in as_us.items() if {"10.73.0.2", "fd73::2"} & {*sources}]
    seen["peers"] = [box.through_tunnel(peer, to) for peer, to in (("10.73.0.9", "10.73.0.2"), ("fd73::9", "fd73::2"))]
    seen["lan"] = [each for to in ("192.168.5.2", "2001:db8:5::2") for each in box.neighbour(to) if each in LEGIT]
    seen["itself"] = _speaks_to_itself("10.73.0.2") and _speaks_to_itself("fd73::2")
    host.down()
    return seen


def neighbours_of_gateway(place: Path) -> Seen:
    """A gateway with NAT, without, and with one network that may reach its clients."""
    box, host = _Machine(), Host(place / "journal")
    seen: Seen = {}
    open_to = replace(GATEWAY, reachable_from=("192.168.5.0/24", "2001:db8:5::/64", "8.8.8.0/24"))
    # What a router to the world of 8.8.8.8 behind another device would be: its packets come by the wrong one.
    _behind_another(box.ip)
    for name, network in (("nat", GATEWAY), ("routed", replace(GATEWAY, nat=False)), ("open", open_to)):
        host.server_up(network)
        targets = ("10.73.0.1", "10.73.0.2", "fd73::1", "fd73::2")
        seen[name] = {to: got for to in targets if (got := box.neighbour(to))}
    seen["clients"] = [box.through_tunnel(a, b) for a, b in (("10.73.0.2", "10.73.0.1"), ("fd73::2", "fd73::1"))]
    seen["as a client"] = [each for each in box.neighbour("192.168.5.2") if each.startswith("10.73")]
    seen["as a client"] += [each for each in box.neighbour("2001:db8:5::2") if each.startswith("fd73")]
    host.down()
    return seen


def _behind_another(ip: Any) -> None:
    ip.link("add", ifname="other", kind="veth", peer={"ifname": "otherp"})
    for name in ("other", "otherp"):
        ip.link("set", index=ip.link_lookup(ifname=name)[0], state="up")
    ip.addr("add", index=ip.link_lookup(ifname="other")[0], address="192.168.6.2", prefixlen=24)
    ip.route("add", dst="8.8.8.0/24", gateway="192.168.6.1")


def _speaks_to_itself(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as there, socket.socket(family, socket.SOCK_DGRAM) as here:
        there.bind((address, 0))
        there.settimeout(QUIET)
        here.sendto(b"x", there.getsockname()[:2])
        try:
            return there.recv(10) == b"x"
        except TimeoutError:
            return False
