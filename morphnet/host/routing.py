"""One route and one policy rule of ours, as changes of a machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from morphnet.host.plain import Plain


class Router(Protocol):
    """What is asked of a machine to make them, or take them back: see `Kernel`."""

    def add_route(self, route: Route, /) -> None: ...
    def remove_route(self, route: Route, /) -> None: ...
    def add_rule(self, rule: Rule, /) -> None: ...
    def remove_rule(self, rule: Rule, /) -> None: ...


class Seen(Protocol):
    """One look at a machine: see `Look`."""

    def has_route(self, route: Route, /) -> bool: ...
    def has_rule(self, rule: Rule, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Route(Plain):
    """One route, marked as ours by its protocol number."""

    kind: ClassVar[str] = "route"
    prefix: str  # "0.0.0.0/0"
    table: int
    device: str = ""  # "" for an unreachable route
    gateway: str = ""  # "" for on-link; may be IPv6 for an IPv4 prefix
    source: str = ""  # the address to send from, "" for the kernel's choice
    throw: bool = False  # this table has nothing to say about it

    def apply(self, kernel: Router) -> None:
        kernel.add_route(self)

    def undo(self, kernel: Router) -> None:
        kernel.remove_route(self)

    def stands(self, look: Seen) -> bool:
        return look.has_route(self)

    @property
    def label(self) -> str:
        return "routes"


@dataclass(frozen=True, slots=True)
class Rule(Plain):
    """One policy rule, marked as ours by its protocol number."""

    kind: ClassVar[str] = "rule"
    family: int  # 4 or 6
    preference: int
    table: int
    device: str = ""  # of sockets bound to it; "" for any
    source: str = ""  # an address; "" for any
    destination: str = ""  # an address or a network; "" for any
    specific: bool = False  # pass over default routes
    avoid: int = 0  # pass over routes by devices of this group; 0 for none
    mark: int = 0  # of packets that carry it; 0 for any

    def apply(self, kernel: Router) -> None:
        kernel.add_rule(self)

    def undo(self, kernel: Router) -> None:
        kernel.remove_rule(self)

    def stands(self, look: Seen) -> bool:
        return look.has_rule(self)

    @property
    def label(self) -> str:
        return "policy rules"
