"""
A device of WireGuard beside the TUN, by which clients come that have the stock WireGuard: phones.

The kernel makes the device where it can; else `wireguard-go` does, a child of ours (`net/wireguard`), and takes it
along when it ends. Either way it is in the journal before it is made, so that nothing of it outlives a `kill -9`: a
wireguard-go whose device is deleted ends by itself.

Clients that come by it have inner addresses as all others: each has a route of its own in our table, that is more
specific than that of the pool by the TUN. The rule that has our table looked up for them is another than that for
networks behind clients, as one may go while the other stays.

Source: rtnetlink(7), linux/if_link.h; wireguard-go's README for its socket, and its end.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from morphnet.errors import HostError
from morphnet.host.journal import Change
from morphnet.host.kernel import FileState, Kernel
from morphnet.host.look import Look
from morphnet.host.netlink import F_ACK, F_CREATE, F_REQUEST, NESTED, attribute, message
from morphnet.host.plain import Plain
from morphnet.host.routes import BASE, LinkUp, family_of
from morphnet.host.routing import Route, Rule
from morphnet.host.sysctl import Sysctl

PHONES = 96  # preference of our rule, counted from the first of ours
SOCKETS = "/var/run/wireguard"  # where every userspace implementation has one for each device
_NEWLINK, _DELLINK, _EXCLUSIVE = 16, 17, 0x200
_IFNAME, _LINKINFO, _INFO_KIND = 3, 18, 1
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, changed flags


def socket_of(device: str) -> str:
    """Where the wireguard-go of that device listens."""
    return f"{SOCKETS}/{device}.sock"


def _is_served(path: str) -> bool:
    """Whether somebody listens there: ours, that takes its socket along, or one of another network namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as asking:
        return asking.connect_ex(path) in (0, errno.EAGAIN)


@dataclass(frozen=True, slots=True)
class WireGuardLink(Plain):
    """The device. `stands` leaves it to who configures it, as a new one knows nobody yet."""

    kind: ClassVar[str] = "wireguard"
    device: str
    by_kernel: bool  # else wireguard-go makes it

    @property
    def place(self) -> Hashable:
        return self.device

    def apply(self, kernel: Kernel) -> None:
        if self.by_kernel:
            kernel.routing(new_link(self.device, "wireguard"))

    def undo(self, kernel: Kernel) -> None:
        if not self.by_kernel and "/" not in self.device and not _is_served(socket_of(self.device)):
            with suppress(HostError):  # one that was killed has left it; the next one replaces what cannot be removed
                kernel.set_file(socket_of(self.device), FileState("none"))
        kernel.routing(delete_link(self.device))

    def stands(self, look: Look) -> bool:
        return True

    @property
    def label(self) -> str:
        return f"the WireGuard device {self.device}"


def new_link(device: str, kind: str) -> bytes:
    """Makes a device."""
    about = attribute(_INFO_KIND, kind.encode())
    body = _LINK.pack(0, 0, 0, 0, 0) + _named(device) + attribute(_LINKINFO | NESTED, about)
    return message(_NEWLINK, F_REQUEST | F_ACK | F_CREATE | _EXCLUSIVE, 1, body)


def delete_link(device: str) -> bytes:
    """Takes it away."""
    return message(_DELLINK, F_REQUEST | F_ACK, 1, _LINK.pack(0, 0, 0, 0, 0) + _named(device))


def _named(device: str) -> bytes:
    return attribute(_IFNAME, device.encode() + b"\0")


def phone_changes(
    link: LinkUp, addresses: Sequence[str], own: Mapping[int, str], v6: bool, base: int = BASE
) -> list[Change]:
    """
    What makes the device, which is there, lead to its clients.

    :param addresses: inner ones of theirs.
    :param own: ours, by family: this machine talks to them as that.
    :param v6: whether the device speaks IPv6.
    """
    families = sorted({family_of(each) for each in addresses} & own.keys())
    changes: list[Change] = [Sysctl(f"net/ipv6/conf/{link.device}/accept_ra", "0")] if v6 else []
    changes.append(link)
    for family in families:
        here = [each for each in addresses if family_of(each) == family]
        length = 32 if family == 4 else 128
        changes += [Route(f"{each}/{length}", base, link.device, source=own[family]) for each in here]
        changes.append(Rule(family, base + PHONES, base))
    return changes
