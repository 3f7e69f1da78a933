"""A machine that only exists in memory, and a journal file that can be torn."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence

from morphnet.errors import HostError
from morphnet.host import netlink
from morphnet.host.facts import Facts
from morphnet.host.kernel import FileState, LinkState, Missing, Present
from morphnet.host.nft import Part, outline
from morphnet.host.routing import Route, Rule


class FakeKernel:
    """Keeps what it is told; `refuse` names methods that fail."""

    def __init__(self) -> None:
        self.links = {"morph0": LinkState(False, 1500, 500, 0)}
        self.addresses: set[tuple[str, str]] = set()
        self.routes: set[Route] = set()
        self.rules: set[Rule] = set()
        self.values: dict[str, str] = {"net/ipv6/conf/all/disable_ipv6": "0", "net/ipv6/conf/morph0/disable_ipv6": "0"}
        self.files: dict[str, FileState] = {}
        self.tools: set[str] = set()
        self.advertised: list[str] = []
        self.there = Facts()
        self.said: dict[tuple[str, ...], str] = {}  # what programs print
        self.ran: list[tuple[tuple[str, ...], str]] = []
        self.routed: list[bytes] = []  # messages about routes
        self.batches: list[Sequence[bytes]] = []
        self.tables: list[tuple[int, bytes]] = []  # what is in nftables: type and payload
        self.calls: list[str] = []  # the names of what changed something, in order
        self.refuse: set[str] = set()
        self.called: Callable[[str], None] = self.calls.append

    def _called(self, name: str) -> None:
        if name in self.refuse:
            raise HostError(f"{name}: not permitted")
        self.called(name)

    def link(self, device: str) -> LinkState:
        if device not in self.links:
            raise Missing(device)
        return self.links[device]

    def set_link(self, device: str, state: LinkState) -> None:
        self._called("set_link")
        self.link(device)
        self.links[device] = state

    def limit_gso(self, device: str, size: int, segments: int) -> None:
        self.link(device)

    def add_address(self, device: str, address: str) -> None:
        self._called("add_address")
        if (device, address) in self.addresses:
            raise Present(address)
        self.addresses.add((device, address))

    def remove_address(self, device: str, address: str) -> None:
        self._called("remove_address")
        if (device, address) not in self.addresses:
            raise Missing(address)
        self.addresses.remove((device, address))

    def all_addresses(self) -> frozenset[tuple[str, str]]:
        return frozenset(self.addresses)

    def our_routes(self, table: int) -> frozenset[Route]:
        return frozenset(each for each in self.routes if each.table == table)

    def our_rules(self) -> frozenset[Rule]:
        return frozenset(self.rules)

    def add_route(self, route: Route) -> None:
        self._called("add_route")
        self.routes.add(route)

    def remove_route(self, route: Route) -> None:
        self._called("remove_route")
        if route not in self.routes:
            raise Missing(route.prefix)
        self.routes.remove(route)

    def add_rule(self, rule: Rule) -> None:
        self._called("add_rule")
        if rule in self.rules:
            raise Present(str(rule.preference))
        self.rules.add(rule)

    def remove_rule(self, rule: Rule) -> None:
        self._called("remove_rule")
        if rule not in self.rules:
            raise Missing(str(rule.preference))
        self.rules.remove(rule)

    def routing(self, message: bytes) -> None:
        self._called("routing")
        self.routed.append(message)

    def routing_dump(self, kind: int, payload: bytes) -> list[bytes]:
        return []

    def facts(self) -> Facts:
        return self.there

    def router_advertised(self) -> list[str]:
        return self.advertised

    def sysctl(self, name: str) -> str:
        if name not in self.values:
            raise Missing(name)
        return self.values[name]

    def set_sysctl(self, name: str, value: str) -> None:
        self.sysctl(name)
        self._called("set_sysctl")
        self.values[name] = value

    def sysctls(self, pattern: str) -> list[str]:
        return sorted(fnmatch.filter(self.values, pattern))

    def nft(self, messages: Sequence[bytes]) -> None:
        self._called("nft")
        self.batches.append(messages)
        for kind, _, body in netlink.messages(b"".join(messages)):
            if kind & 0xFF == 2:  # DELTABLE: there is one table in these tests
                self.tables.clear()
            elif kind >> 8 == 10:
                self.tables.append((kind & 0xFF, body))

    def nft_outline(self, table: str) -> tuple[Part, ...]:
        return outline(self.tables, table)

    def nft_dump(self, kind: int, payload: bytes) -> list[bytes]:
        return []

    def way_to(self, address: str) -> str:
        return "wan"

    def file(self, path: str) -> FileState:
        return self.files.get(path, FileState("none"))

    def set_file(self, path: str, state: FileState) -> None:
        self._called("set_file")
        self.files[path] = state

    def has_tool(self, name: str) -> bool:
        return name in self.tools

    def ask(self, arguments: Sequence[str]) -> str:
        return self.said.get(tuple(arguments), "")

    def run(self, arguments: Sequence[str], text: str = "") -> None:
        self._called("run")
        self.ran.append((tuple(arguments), text))


class FakeFile:
    """What would be on disk."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.full = False
        self.room = -1  # bytes until the disk is full in the middle of an `append`; -1 for no end

    def read(self) -> bytes:
        return self.data

    def append(self, data: bytes) -> None:
        if 0 <= self.room < len(data):
            self.data += data[: self.room]
            raise HostError("no space left on device")
        self.replace(self.data + data)

    def replace(self, data: bytes) -> None:
        if self.full:
            raise HostError("no space left on device")
        self.data = data
