"""The real `Kernel`: netlink for links, routes, rules and nftables, /proc, files and tools."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import (
    EACCES,
    EADDRNOTAVAIL,
    EAFNOSUPPORT,
    EBUSY,
    EEXIST,
    ENETDOWN,
    ENODEV,
    ENOENT,
    ENOSPC,
    ENXIO,
    EOPNOTSUPP,
    EPERM,
    EROFS,
    ESRCH,
    EXDEV,
)
from pathlib import Path
from socket import AF_INET, AF_INET6, if_indextoname, if_nametoindex
from sys import byteorder

from morphnet.errors import HostError
from morphnet.host import readback, rtnetlink
from morphnet.host.facts import ADDRESS, BY_ADVERTISEMENT, MAIN, PROTOCOL, ROUTE, Facts, read_facts
from morphnet.host.kernel import FileState, LinkState, Missing, Present
from morphnet.host.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket, attribute
from morphnet.host.nft import Part, outline, read_table
from morphnet.host.routing import Route, Rule

TOOL_PATIENCE = 2.0  # seconds that resolvectl or resolvconf may take; everything stands still meanwhile
_GONE = (ENOENT, ESRCH, ENODEV, ENXIO, EADDRNOTAVAIL, ENETDOWN)
_IN_PLACE = (EBUSY, EXDEV, EACCES, EPERM, EROFS)  # where a rename is refused, a write may be allowed
_SYSCTL = Path("/proc/sys")


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn the kernel's refusal of `what` into a HostError."""
    try:
        yield
    except OSError as error:
        unnumbered = 0 if isinstance(error, TimeoutError) else ENODEV  # if_nametoindex gives no number
        raise _refusal(what, error.errno or unnumbered, error.strerror or str(error)) from error


@contextmanager
def _asking(protocol: int) -> Iterator[NetlinkSocket]:
    """A socket for as long as something is asked for."""
    asking = NetlinkSocket(protocol)
    try:
        yield asking
    finally:
        asking.close()


def _refusal(what: str, errno: int, text: str) -> HostError:
    if errno in _GONE:
        return Missing(f"{what}: {text}")
    if errno == EEXIST:
        return Present(f"{what}: {text}")
    if errno in (EPERM, EACCES):
        return HostError(f"{what}: not permitted; run as root or give CAP_NET_ADMIN")
    if errno == EROFS:
        return HostError(f"{what}: read-only here; let this service write it (systemd: ProtectKernelTunables=no)")
    return HostError(f"{what}: {text}")


class LinuxKernel:
    """The network namespace that this process lives in, and its files. A socket is opened for each question."""

    def _change(self, message: bytes) -> None:
        with _asking(NETLINK_ROUTE) as asking:
            asking.transact([message], expected=1)

    def _index(self, device: str) -> int:
        with _told(f"device {device}"):
            return if_nametoindex(device)

    def link(self, device: str) -> LinkState:
        index = self._index(device)
        with _told(f"cannot read device {device}"), _asking(NETLINK_ROUTE) as asking:
            return rtnetlink.link_state(asking.ask(rtnetlink.GETLINK, rtnetlink.which_link(index)))

    def set_link(self, device: str, state: LinkState) -> None:
        index = self._index(device)
        with _told(f"cannot set up device {device}"):
            self._change(rtnetlink.link_in(index, state))

    def limit_gso(self, device: str, size: int, segments: int) -> None:
        index = self._index(device)
        with suppress(OSError):  # before Linux 4.16 it cannot be set
            self._change(rtnetlink.gso_limit(index, size, segments))

    def add_address(self, device: str, address: str) -> None:
        with _told(f"cannot add address {address} on {device}"):
            self._change(rtnetlink.address(if_nametoindex(device), address, add=True))

    def remove_address(self, device: str, address: str) -> None:
        with _told(f"cannot remove address {address} on {device}"):
            self._change(rtnetlink.address(if_nametoindex(device), address, add=False))

    def all_addresses(self) -> frozenset[tuple[str, str]]:
        found = self._dump("addresses", readback.GETADDR, [ADDRESS.pack(0, 0, 0, 0, 0)])
        known = filter(None, map(readback.address_of, found))
        return frozenset((_device(index), address) for index, address in known)

    def our_routes(self, table: int) -> frozenset[Route]:
        asked = [ROUTE.pack(family, 0, 0, 0, 0, PROTOCOL, 0, 0, 0) for family in (AF_INET, AF_INET6)]
        which = attribute(15, table.to_bytes(4, byteorder))  # RTA_TABLE
        found = self._dump("routes", readback.GETROUTE, [each + which for each in asked])
        known = (readback.route_of(each, _device) for each in found)
        return frozenset(each for each in known if each is not None and each.table == table)

    def our_rules(self) -> frozenset[Rule]:
        asked = [ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0) for family in (AF_INET, AF_INET6)]
        known = map(readback.rule_of, self._dump("policy rules", readback.GETRULE, asked))
        return frozenset(each for each in known if each is not None)

    def _dump(self, what: str, kind: int, requests: Sequence[bytes]) -> list[bytes]:
        """The answers to several requests; a table or a family that this kernel does not have answers nothing."""
        found = list[bytes]()
        with _told(f"cannot read the {what}"), _asking(NETLINK_ROUTE) as asking:
            for request in requests:
                try:
                    found += asking.dump(kind, request)
                except OSError as error:
                    if error.errno not in (ENOENT, EOPNOTSUPP, EAFNOSUPPORT):
                        raise
        return found

    def add_route(self, route: Route) -> None:
        with _told(f"cannot add a route to {route.prefix} by {route.device or 'nothing'}"):
            self._change(rtnetlink.route(route, add=True))

    def remove_route(self, route: Route) -> None:
        with _told(f"cannot remove the route to {route.prefix} by {route.device or 'nothing'}"):
            self._change(rtnetlink.route(route, add=False))

    def add_rule(self, rule: Rule) -> None:
        with _told(f"cannot add policy rule {rule.preference}"):
            self._change(rtnetlink.rule(rule, add=True))

    def remove_rule(self, rule: Rule) -> None:
        with _told(f"cannot remove policy rule {rule.preference}"):
            self._change(rtnetlink.rule(rule, add=False))

    def routing(self, message: bytes) -> None:
        with _told("cannot change the routes"):
            self._change(message)

    def routing_dump(self, kind: int, payload: bytes) -> list[bytes]:
        return self._dump("routes", kind, [payload])

    def facts(self) -> Facts:
        with _told("cannot read the devices and routes"):
            return read_facts()

    def router_advertised(self) -> list[str]:
        routes = [each for each in self.facts().routes if each.is_way_out and each.table == MAIN]
        with _told("cannot read the routes"):
            indexes = {each.index for each in routes if each.protocol == BY_ADVERTISEMENT and each.family == 6}
            return sorted(if_indextoname(index) for index in indexes)

    def sysctl(self, name: str) -> str:
        with _told(f"cannot read sysctl {name}"):
            return _place_of(name).read_text().strip()

    def set_sysctl(self, name: str, value: str) -> None:
        with _told(f"cannot set sysctl {name} to {value}"):
            _place_of(name).write_text(value)

    def sysctls(self, pattern: str) -> list[str]:
        return sorted(os.path.relpath(each, _SYSCTL) for each in glob.glob(f"{_SYSCTL}/{pattern}"))

    def nft(self, messages: Sequence[bytes]) -> None:
        with _told("cannot change the nftables"), _asking(NETLINK_NETFILTER) as asking:
            asking.transact(messages, expected=len(messages) - 2)

    def nft_outline(self, table: str) -> tuple[Part, ...]:
        with _told("cannot read the nftables"), _asking(NETLINK_NETFILTER) as asking:
            return outline(read_table(asking.dump, table), table)

    def nft_dump(self, kind: int, payload: bytes) -> list[bytes]:
        with _told("cannot read the nftables"), _asking(NETLINK_NETFILTER) as asking:
            try:
                return asking.dump(kind, payload)
            except FileNotFoundError:  # a chain or a set that has just gone
                return []

    def way_to(self, address: str) -> str:
        try:
            with _asking(NETLINK_ROUTE) as asking:
                found = asking.ask(rtnetlink.GETROUTE, rtnetlink.way_to(address))
        except (OSError, ValueError):
            return ""
        return _device(rtnetlink.device_of_route(found))

    def file(self, path: str) -> FileState:
        with _told(f"cannot read {path}"):
            if os.path.islink(path):
                return FileState("link", os.readlink(path))
            if not os.path.exists(path):
                return FileState("none")
            text = Path(path).read_bytes().decode(errors="surrogateescape")
            return FileState("file", text, os.stat(path).st_mode & 0o7777)

    def set_file(self, path: str, state: FileState) -> None:
        fresh = f"{path}.{os.getpid()}.morphnet"  # another of us, perhaps in a container, has the same directory
        with _told(f"cannot write {path}"):
            try:
                with suppress(FileNotFoundError):
                    os.unlink(path if state.kind == "none" else fresh)
                if state.kind == "link":
                    os.symlink(state.content, fresh)
                elif state.kind == "file":
                    _write(fresh, state)
                else:
                    return
                os.rename(fresh, path)
            except OSError as error:
                with suppress(OSError):
                    os.unlink(fresh)
                if error.errno not in _IN_PLACE or state.kind != "file":
                    raise
                _overwrite(path, state)  # a container's file is mounted there, or the directory is closed to us

    def has_tool(self, name: str) -> bool:
        return shutil.which(name) is not None

    def run(self, arguments: Sequence[str], text: str = "") -> None:
        _ran(arguments, text)

    def ask(self, arguments: Sequence[str]) -> str:
        return _ran(arguments)


def _ran(arguments: Sequence[str], text: str = "") -> str:
    """What a program printed."""
    try:
        done = subprocess.run(arguments, input=text, capture_output=True, text=True, timeout=TOOL_PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"{arguments[0]} did not work: {error}") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise HostError(f"{' '.join(arguments)} failed: {said[-1] if said else done.returncode}")
    return done.stdout


def _place_of(name: str) -> Path:
    """
    Where a sysctl is. The journal says what it was before, and may lie in a directory of another user's.

    :raises Missing: it is none of the network's.
    """
    first, *parts = name.split("/")
    if first != "net" or not parts or any(part in ("", ".", "..") for part in parts):
        raise Missing(f"{name} is no sysctl of the network")
    return _SYSCTL / name


def _write(path: str, state: FileState) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, state.mode)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, state.mode)  # in the background twistd takes the others' rights from whatever it makes
        file.write(state.content.encode(errors="surrogateescape"))
        file.flush()
        os.fsync(file.fileno())


def _overwrite(path: str, state: FileState) -> None:
    """
    In place, from the first byte that differs, in one write: whoever reads meanwhile, or after we were killed, finds
    the old text or the new one, perhaps with empty lines at its end.
    """
    text = state.content.encode(errors="surrogateescape")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, state.mode)
    with open(descriptor, "r+b", buffering=0) as file:
        old = file.read()
        sizes = range(1, min(len(old), len(text)) + 1)
        same = bisect_left(sizes, True, key=lambda size: old[:size] != text[:size])
        rest = text[same:].ljust(len(old) - same, b"\n") if text[same:] else b""
        if os.pwrite(descriptor, rest, same) != len(rest):
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        file.truncate(len(text))
        os.fsync(descriptor)


def _device(index: int) -> str:
    """The name of a device; "" for one that has just gone."""
    try:
        return if_indextoname(index)
    except OSError:
        return ""
