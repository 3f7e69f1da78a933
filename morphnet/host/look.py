"""One look at a machine: each thing is asked once, however many changes want to know it."""

from __future__ import annotations

from morphnet.host.kernel import FileState, Kernel, LinkState, Missing
from morphnet.host.nft import Part
from morphnet.host.routing import Route, Rule


class Look:
    """The machine as it was when each thing was asked first. Raises what `Kernel` raises."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._links: dict[str, LinkState | None] = {}
        self._addresses: frozenset[tuple[str, str]] | None = None
        self._routes: dict[int, frozenset[Route]] = {}
        self._rules: frozenset[Rule] | None = None
        self._files: dict[str, FileState] = {}

    def link(self, device: str) -> LinkState | None:
        """The state of a device; None if there is none of that name."""
        if device not in self._links:
            try:
                self._links[device] = self._kernel.link(device)
            except Missing:
                self._links[device] = None
        return self._links[device]

    def has_address(self, device: str, address: str) -> bool:
        """Whether the device has that address, given with its prefix length."""
        if self._addresses is None:
            self._addresses = self._kernel.all_addresses()
        return (device, address) in self._addresses

    def has_route(self, route: Route) -> bool:
        """Whether exactly that route is in its table."""
        if route.table not in self._routes:
            self._routes[route.table] = self._kernel.our_routes(route.table)
        return route in self._routes[route.table]

    def routing(self, kind: int, payload: bytes) -> list[bytes]:
        """What the kernel answers to a question for routes."""
        return self._kernel.routing_dump(kind, payload)

    def has_rule(self, rule: Rule) -> bool:
        """Whether exactly that policy rule is there."""
        if self._rules is None:
            self._rules = self._kernel.our_rules()
        return rule in self._rules

    def sysctl(self, name: str) -> str | None:
        """The value of a sysctl; None if there is none of that name."""
        try:
            return self._kernel.sysctl(name)
        except Missing:
            return None

    def nft_outline(self, table: str) -> tuple[Part, ...]:
        """What there is of an nftables table."""
        return self._kernel.nft_outline(table)

    def file(self, path: str) -> FileState:
        """What is at `path`."""
        if path not in self._files:
            self._files[path] = self._kernel.file(path)
        return self._files[path]
