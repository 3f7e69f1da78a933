"""
Sets up the nodes of a box: `python -m morphnet.lab.configure` reads one request per line and answers each with a line.

Request: {"pid": a process in the node, "steps": [[name, argument...], ...]}; the steps are those in STEPS.
Answer: {"error": ""}, or what went wrong and where; the steps before that one are done.
One process does it for all nodes, so that a change during a test takes milliseconds.
"""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from morphnet.lab import nft
from morphnet.lab.enter import NEWNET, setns

UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EINVAL)


def _index(ip: Any, device: str) -> int:
    found = ip.link_lookup(ifname=device)
    if not found:
        raise OSError(errno.ENODEV, f"there is no device {device}")
    return int(found[0])


def _split(address: str) -> dict[str, Any]:
    alone, _, length = address.partition("/")
    return {"address": alone, "prefixlen": int(length or (128 if ":" in alone else 32))}


def _route(ip: Any, route: dict[str, Any]) -> dict[str, Any]:
    """:param route: the fields of topologies.Route."""
    said: dict[str, Any] = {"dst": route["to"], "table": route["table"]}
    if ":" in route["to"] + route["via"]:
        said["family"] = 10
    if route["via"]:
        said["gateway"] = route["via"]
    if route["device"]:
        said["oif"] = _index(ip, route["device"])
    if route["metric"]:
        said["priority"] = route["metric"]
    return said


def sysctl(_: Any, path: str, value: str) -> None:
    """:param path: below /proc/sys; what this kernel does not have is left alone."""
    try:
        Path("/proc/sys", path).write_text(value)
    except FileNotFoundError:
        pass


def veth(ip: Any, device: str, peer_pid: int, peer_device: str) -> None:
    """A cable from here to another node."""
    ip.link("add", kind="veth", ifname=device, peer={"ifname": peer_device, "net_ns_pid": peer_pid})


def no_offloads(ip: Any, device: str) -> None:
    """What leaves by it does so packet by packet, as on a real cable."""
    ip.link("set", index=_index(ip, device), gso_max_segs=1)


def bridge(ip: Any, device: str, ports: list[str]) -> None:
    """A switch of these devices, and a device of its own on it."""
    ip.link("add", kind="bridge", ifname=device)
    master = _index(ip, device)
    for port in ports:
        ip.link("set", index=_index(ip, port), master=master, state="up")
    ip.link("set", index=master, state="up")


def up(ip: Any, device: str, mtu: int | None = None) -> None:
    """Bring a device up; its peer follows by itself."""
    ip.link("set", index=_index(ip, device), state="up", **({"mtu": mtu} if mtu else {}))


def down(ip: Any, device: str) -> None:
    """Take a device down; the kernel drops its routes and IPv6 addresses."""
    ip.link("set", index=_index(ip, device), state="down")


def add_address(ip: Any, device: str, address: str) -> None:
    """One address in CIDR notation; it may be there already."""
    ip.addr("replace", index=_index(ip, device), **_split(address))


def remove_address(ip: Any, device: str, address: str) -> None:
    """:raises OSError: it is not there."""
    ip.addr("del", index=_index(ip, device), **_split(address))


def add_route(ip: Any, route: dict[str, Any]) -> None:
    """Put it in the place of one with the same target, table and metric."""
    ip.route("replace", **_route(ip, route))


def restore_route(ip: Any, route: dict[str, Any]) -> None:
    """As `add_route`, unless its device is down."""
    try:
        add_route(ip, route)
    except NetlinkError as error:
        if error.code not in UNREACHABLE:
            raise


def remove_route(ip: Any, route: dict[str, Any]) -> None:
    """:raises OSError: it is not there."""
    ip.route("del", **_route(ip, route))


def nat(
    _: Any,
    kind: str,
    outside: str,
    host: str,
    ports: list[int] | None = None,
    moved: list[tuple[int, int]] | None = None,
) -> None:
    """Be this kind of router; see lab/nft.py."""
    nft.apply(nft.rules(kind, outside, (ports[0], ports[1]) if ports else None, host, moved or ()))


def forget_connections(_: Any) -> None:
    """Forget every mapping."""
    nft.forget_connections()


def forget_socket(_: Any, port: int) -> None:
    """Forget the mappings of one UDP port inside."""
    nft.forget_socket(port)


STEPS: dict[str, Callable[..., None]] = {
    step.__name__: step
    for step in (
        sysctl, veth, no_offloads, bridge, up, down, add_address, remove_address, add_route, restore_route,
        remove_route, nat, forget_connections, forget_socket,
    )
}  # fmt: skip


def obey(pid: int, steps: list[list[Any]]) -> str:
    """Take these steps in the network of `pid`; what went wrong, or nothing."""
    name, arguments = "join", list[Any]()
    try:
        setns(f"/proc/{pid}/ns/net", NEWNET)
        with IPRoute() as ip:
            for name, *arguments in steps:
                STEPS[name](ip, *arguments)
    except (OSError, NetlinkError, KeyError) as error:
        return f"{name} {' '.join(str(each) for each in arguments)}: {error}"
    return ""


def main() -> int:
    """Serve until stdin ends."""
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps({"error": obey(request["pid"], request["steps"])}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
