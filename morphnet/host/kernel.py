"""The face of the machine: the few things that morphnet asks a kernel (and its files and tools) to do or to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from morphnet.errors import HostError
from morphnet.host.facts import Facts
from morphnet.host.nft import Part
from morphnet.host.routing import Route, Rule


class Missing(HostError):
    """What was to be read, changed or removed is not there."""


class Present(HostError):
    """What was to be added is there already."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """What we change about a network device."""

    up: bool
    mtu: int  # bytes
    queue: int  # txqueuelen, packets
    group: int  # device group, 0 by default


@dataclass(frozen=True, slots=True)
class FileState:
    """A file, a symbolic link, or nothing, at one path."""

    kind: str  # "file", "link" or "none"
    content: str = ""  # text of the file, or where the link points
    mode: int = 0o644  # permission bits of a file


class Kernel(Protocol):
    """
    One machine (in truth: one network namespace and its files).

    Every method may raise HostError with one sentence for the operator: `Missing` or `Present` where that is the cause.
    """

    def link(self, device: str) -> LinkState:
        """The state of `device` now."""
        ...

    def set_link(self, device: str, state: LinkState) -> None:
        """Make `device` be in `state`."""
        ...

    def limit_gso(self, device: str, size: int, segments: int) -> None:
        """Bound what the stack hands to `device` at once: bytes and segments. An old kernel may ignore it."""
        ...

    def add_address(self, device: str, address: str) -> None:
        """Give `device` an address, "10.73.0.2/24"."""
        ...

    def remove_address(self, device: str, address: str) -> None:
        """Take that address from `device`."""
        ...

    def all_addresses(self) -> frozenset[tuple[str, str]]:
        """Every device with each of its addresses: ("morph0", "10.73.0.2/24")."""
        ...

    def our_routes(self, table: int) -> frozenset[Route]:
        """The routes of a table that carry our protocol number."""
        ...

    def our_rules(self) -> frozenset[Rule]:
        """The policy rules that carry our protocol number."""
        ...

    def add_route(self, route: Route) -> None:
        """Add a route; in a table of our own it replaces the one to the same prefix."""
        ...

    def remove_route(self, route: Route) -> None:
        """Remove exactly that route."""
        ...

    def add_rule(self, rule: Rule) -> None:
        """Add a policy rule."""
        ...

    def remove_rule(self, rule: Rule) -> None:
        """Remove exactly that rule."""
        ...

    def routing(self, message: bytes) -> None:
        """Send a message to change the routes (see `morphnet.host.multipath`)."""
        ...

    def routing_dump(self, kind: int, payload: bytes) -> list[bytes]:
        """The answers to a question for routes; none for a table or a family that is not there."""
        ...

    def facts(self) -> Facts:
        """The devices, addresses and routes that there are."""
        ...

    def router_advertised(self) -> list[str]:
        """Devices whose IPv6 default route the kernel made from a router advertisement."""
        ...

    def sysctl(self, name: str) -> str:
        """The value of a sysctl, named by its path: "net/ipv4/ip_forward"."""
        ...

    def set_sysctl(self, name: str, value: str) -> None:
        """Write a sysctl."""
        ...

    def sysctls(self, pattern: str) -> list[str]:
        """Names of the sysctls that match a shell pattern, sorted: "net/ipv6/conf/*/forwarding"."""
        ...

    def nft(self, messages: Sequence[bytes]) -> None:
        """Commit nftables messages (see `morphnet.host.nft`) as one transaction."""
        ...

    def nft_outline(self, table: str) -> tuple[Part, ...]:
        """What there is of the table `inet TABLE`, see `morphnet.host.nft.outline`; nothing where there is no table."""
        ...

    def nft_dump(self, kind: int, payload: bytes) -> list[bytes]:
        """The answers of nftables to a dump request; none for what is not there."""
        ...

    def way_to(self, address: str) -> str:
        """The device that a packet to that address would leave by; "" for none."""
        ...

    def file(self, path: str) -> FileState:
        """What is at `path`."""
        ...

    def set_file(self, path: str, state: FileState) -> None:
        """Put that at `path`, in one step where the file system lets us."""
        ...

    def has_tool(self, name: str) -> bool:
        """Whether a program of that name can be run."""
        ...

    def run(self, arguments: Sequence[str], text: str = "") -> None:
        """Run a program with `text` on its standard input; a failure is a HostError."""
        ...

    def ask(self, arguments: Sequence[str]) -> str:
        """Run a program: what it prints."""
        ...
