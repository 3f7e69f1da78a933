"""
One machine with a TUN and uplinks, in namespaces of its own: `python -m tests.lab.host_box CASE` prints what it saw.

To be run by `unshare --mount --net` (see test_host); the journal and a resolv.conf are in a temporary directory.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from morphnet.errors import HostError
from morphnet.host.dns import Wish
from morphnet.host.host import ClientNetwork, Host, ServerNetwork
from morphnet.host.linux import LinuxKernel
from morphnet.host.uplinks import Uplink, UplinkScan, UplinkWatch
from tests.lab.host_files import hosts_files, resolv_files
from tests.lab.host_firewall import firewalls
from tests.lab.host_machine import RESOLV, Seen, add_uplink, machine, mount_private, plug_in, snapshot
from tests.lab.host_neighbours import neighbours_of_client, neighbours_of_gateway
from tests.lab.host_rivals import client_and_rivals, gateway_and_rivals, nobody_fights, replaced_files
from tests.lab.host_routes import address_inside_too, own_table, strange_routes, twins, two_of_us

SERVER = "203.0.113.1"
PARENT_MAC = b"\x02\0\0\0\0\x09"
CLIENT = ClientNetwork("morph0", "10.73.0.2/24", "fd73::2/64", 1400, ("default", "10.99.0.0/16"), Wish(("10.73.0.1",)))
GATEWAY = ServerNetwork("morph0", "10.73.0.1/24", "fd73::1/64", 1400, "10.73.0.0/24", "fd73::/64")


def killed(change: Callable[[Host], None], journal: Path) -> None:
    """Make changes in a process of its own, and kill -9 it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        host = Host(journal)
        host.recover()
        change(host)
        os.write(writing, b"up")
        signal.pause()
        os._exit(1)
    os.close(writing)
    ready = os.read(reading, 2)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if ready != b"up":
        raise AssertionError("the changes failed")


def recovery(change: Callable[[Host], None], place: Path) -> Seen:
    """The machine before, after the kill, and after the next start."""
    machine()
    LinuxKernel().set_sysctl("net/ipv4/conf/all/accept_redirects", "0")  # a hardened machine
    LinuxKernel().set_sysctl("net/ipv6/conf/wan/forwarding", "1")  # and a setting of its own
    before = snapshot()
    killed(change, place / "journal")
    between = snapshot()
    host = Host(place / "journal")
    count = host.recover()
    after = snapshot()
    mode = (place / "journal").stat().st_mode & 0o777
    again = host.recover()
    return {
        "count": count,
        "again": again,
        "mode": mode,
        "changed": [key for key in before if between[key] != before[key]],
        "differs": {key: _differing(before[key], after[key]) for key in before if after[key] != before[key]},
    }


def _differing(before: Any, after: Any) -> list[Any]:
    """What is gone, and what is new."""
    if not isinstance(before, list):
        return [before, after]
    return [[each for each in before if each not in after], [each for each in after if each not in before]]


def client_changes(host: Host) -> None:
    host.client_up(CLIENT)
    host.set_uplinks(UplinkScan(excluded=("morph0",))())


def client_killed(place: Path) -> Seen:
    return recovery(client_changes, place)


def server_killed(place: Path) -> Seen:
    return recovery(lambda host: host.server_up(GATEWAY), place)


def killed_anywhere(place: Path) -> Seen:
    """Killed after each single step of a client's changes."""
    machine()
    before, bad, step = snapshot(), list[int](), 0
    while True:
        step += 1
        child = os.fork()
        if not child:
            host = Host(place / "journal")
            host.recover()
            _die_after(host, step)
            client_changes(host)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        host = Host(place / "journal")
        host.recover()
        host.down()
        if snapshot() != before:
            bad.append(step)
        if not os.WIFSIGNALED(status):
            return {"steps": step, "bad": bad}


def _die_after(host: Host, step: int) -> None:
    """Kill this process at its `step`-th change of the kernel, just after it."""
    kernel = host._kernel
    left = [step]

    def dying(method: Any) -> Any:
        def call(*arguments: Any) -> Any:
            result = method(*arguments)
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for name in ("set_link", "add_address", "add_route", "add_rule", "nft", "set_file"):
        setattr(kernel, name, dying(getattr(kernel, name)))


def stopped(place: Path) -> Seen:
    """Up twice with different wishes, then down: as before. A second process is refused meanwhile."""
    machine()
    before = snapshot()
    host = Host(place / "journal")
    host.recover()
    client_changes(host)
    ours = Path(RESOLV).read_text()
    upstream = host.upstream_dns()
    try:
        Host(place / "journal").recover()
        refused = ""
    except HostError as error:
        refused = str(error)
    host.client_up(ClientNetwork("morph0", "10.73.0.3/24", "fd73::3", 1200, ("10.0.0.0/8",), Wish(), False))
    second = snapshot()
    host.set_uplinks([])
    host.down()
    return {
        "ours": ours,
        "upstream": upstream,
        "refused": refused,
        "mtu": [link for link in second["links"] if link[0] == "morph0"],
        "resolv": second["resolv.conf"],
        "nft": second["nft"],
        "same": snapshot() == before,
    }


def ways(place: Path) -> Seen:
    """Where packets go, by who sends them."""
    ip, _ = machine()
    add_uplink(ip, "lte", "6")
    host = Host(place / "journal")
    client_changes(host)
    index = {link["index"]: link.get_attr("IFLA_IFNAME") for link in ip.get_links()}

    def way(to: str, **more: Any) -> str:
        found = ip.route("get", dst=to, **more)[0]
        return f"{index[found.get_attr('RTA_OIF')]} {found.get_attr('RTA_GATEWAY') or ''}".strip()

    lte = ip.link_lookup(ifname="lte")[0]
    return {
        "anyone": way("8.8.8.8"),
        "anyone6": way("2001:db8:aaaa::1", family=socket.AF_INET6),
        "bound": way("8.8.8.8", oif=lte),
        "bound6": way("2001:db8:aaaa::1", oif=lte, family=socket.AF_INET6),
        "answer": way("8.8.8.8", src="192.168.6.2"),
        "server": way(SERVER),
        "server by the other": way(SERVER, oif=lte),
        "lan": way("192.168.6.77"),
        "chosen": way("10.99.1.1"),
        "bound to an uplink, chosen": way("10.99.1.1", oif=lte),
        "answer to a chosen": way("10.99.1.1", src="192.168.6.2"),
    }


def watched(place: Path, act: Callable[[Any, list[float]], None], enough: Callable[[Any], bool]) -> Seen:
    """Run the reactor with a watch; answers with the seconds from the end of `act` until `enough`."""
    from twisted.internet import epollreactor

    epollreactor.install()
    from twisted.internet import reactor as installed

    reactor: Any = installed
    ip, _ = machine()
    host, acted, took = Host(place / "journal"), list[float](), list[float]()
    calls: list[list[str]] = []

    def changed(uplinks: list[Uplink]) -> None:
        calls.append([each.name for each in uplinks])
        host.set_uplinks(uplinks)
        if acted and enough(ip):
            took.append(time.monotonic() - acted[0])
            reactor.callLater(0.3, reactor.stop)  # what else it may tell

    watch = UplinkWatch(reactor, changed, UplinkScan(excluded=("morph0",)))
    reactor.callWhenRunning(watch.start)
    reactor.callLater(0.2, act, ip, acted)
    reactor.callLater(5, reactor.stop)
    reactor.run()
    watch.stop()
    host.down()
    return {"took": took[:1], "calls": calls}


def _leads(ip: Any, name: str) -> bool:
    """Whether the table of uplink `name` has its default route, as a socket bound to it would find."""
    found = ip.link_lookup(ifname=name)
    with IPRoute() as fresh:
        routes = [
            each for each in fresh.get_routes(family=socket.AF_INET) if each.get_attr("RTA_TABLE") in (7301, 7302)
        ]
    return any(each.get_attr("RTA_OIF") == found[0] for each in routes)


def hot_plug(place: Path) -> Seen:
    def plug(ip: Any, acted: list[float]) -> None:
        acted.append(time.monotonic())
        add_uplink(ip, "lte", "6")

    return watched(place, plug, lambda ip: _leads(ip, "lte"))


def flap(place: Path) -> Seen:
    """Down and up so quickly that nothing differs afterwards: yet the kernel dropped the routes of the uplink."""

    def toggle(ip: Any, acted: list[float]) -> None:
        index = ip.link_lookup(ifname="wan")[0]
        acted.append(time.monotonic())
        ip.link("set", index=index, state="down")
        ip.flush_addr(index=index)
        plug_in(ip, index, "5")

    return watched(place, toggle, lambda ip: _leads(ip, "wan"))


def _udp4(source: str, to: str) -> bytes:
    udp = struct.pack("!HHHH", 4000, 53, 12, 0) + b"ping"
    return _ip4(source, to, 17, udp)


def _syn4(source: str, to: str) -> bytes:
    tcp = struct.pack("!HHIIBBHHH", 4000, 80, 1, 0, 0x60, 0x02, 65535, 0, 0) + b"\x02\x04" + struct.pack("!H", 1460)
    pseudo = socket.inet_aton(source) + socket.inet_aton(to) + struct.pack("!HH", 6, len(tcp))
    return _ip4(source, to, 6, tcp[:16] + struct.pack("!H", _sum(pseudo + tcp)) + tcp[18:])


def _ip4(source: str, to: str, protocol: int, body: bytes) -> bytes:
    ends = socket.inet_aton(source) + socket.inet_aton(to)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0) + ends
    return head[:10] + struct.pack("!H", _sum(head)) + head[12:] + body


def _sum(data: bytes) -> int:
    total: int = sum(each for (each,) in struct.iter_unpack("!H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def gateway(place: Path) -> Seen:
    """A gateway at work: packets into the TUN, and what leaves by the uplink."""
    ip, tun = machine()
    wan = ip.link_lookup(ifname="wan")[0]
    ip.neigh("add", dst="192.168.5.1", lladdr="02:00:00:00:00:09", ifindex=wan, state=128)
    host = Host(place / "journal")
    host.server_up(GATEWAY)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    wire.bind(("wanp", 0x0800))
    wire.settimeout(0.3)

    def out(packet: bytes) -> list[str]:
        os.write(tun, packet)
        try:
            while True:
                frame = wire.recv(2000)[14:]
                if frame[16:20] == socket.inet_aton("8.8.8.8"):
                    mss = str(struct.unpack("!H", frame[42:44])[0]) if frame[9] == 6 else ""
                    return [socket.inet_ntoa(frame[12:16]), mss]
        except TimeoutError:
            return []

    seen: Seen = {
        "client": out(_udp4("10.73.0.2", "8.8.8.8")),
        "spoofed": out(_udp4("10.66.0.2", "8.8.8.8")),
        "syn": out(_syn4("10.73.0.2", "8.8.8.8")),
    }
    mac = bytes.fromhex(ip.get_links(wan)[0].get_attr("IFLA_ADDRESS").replace(":", ""))
    _drain(tun)
    for name, packet in (
        ("answer", _ip4("8.8.8.8", "192.168.5.2", 17, struct.pack("!HHHH", 53, 4000, 12, 0) + b"pong")),
        ("intruder", _udp4("192.168.5.77", "10.73.0.2")),
    ):
        wire.send(mac + PARENT_MAC + b"\x08\0" + packet)
        time.sleep(0.1)
        seen[name] = _drain(tun)
    host.down()
    return seen


def _drain(tun: int) -> list[str]:
    """Sources of the IPv4 UDP packets that wait in the TUN."""
    found = []
    try:
        while True:
            packet = os.read(tun, 2000)
            if packet[0] >> 4 == 4 and packet[9] == 17:
                found.append(socket.inet_ntoa(packet[12:16]))
    except BlockingIOError:
        return found


CASES = (
    client_killed, server_killed, killed_anywhere, stopped, ways, strange_routes, two_of_us, own_table, hot_plug, flap,
    address_inside_too, gateway, resolv_files, hosts_files, client_and_rivals, gateway_and_rivals, replaced_files,
    neighbours_of_client, neighbours_of_gateway, firewalls, nobody_fights,
    twins,
)  # fmt: skip

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        mount_private(Path(directory))
        try:
            print(json.dumps({case.__name__: case for case in CASES}[sys.argv[1]](Path(directory))))
        finally:
            os.environ["PATH"] = os.defpath
            subprocess.run(["umount", RESOLV], check=False)
