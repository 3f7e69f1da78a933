"""What becomes of the routers of a box while it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from morphnet.errors import BugError
from morphnet.lab import nft
from morphnet.lab.topologies import Nat, Topology

Step = Sequence[Any]  # a name and arguments, see lab/configure.py


class Routers:
    """The part of a `Box` that is about them."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._turns: dict[str, int] = {}  # how often each was remapped
        self._moved: dict[str, dict[int, int]] = {}  # router -> port inside -> public port, where it is a chosen one

    def change(self, name: str, steps: Sequence[Step]) -> None:
        """Do these in a node, or as far as the first that the machine refuses: the box does it."""
        raise NotImplementedError

    def flush_nat(self, name: str) -> None:
        """Let a router forget its connections, as after a restart; new mappings may look like the old ones."""
        self.change(name, [("forget_connections",)])

    def remap_nat(self, name: str) -> None:
        """Let a router forget its connections and give out other public ports than before."""
        ports = nft.port_range(self._turns.get(name, 0))
        self._turns[name] = self._turns.get(name, 0) + 1
        self._moved.pop(name, None)
        self.change(name, [_order(self._nat(name), ports), ("forget_connections",)])

    def remap_socket(self, name: str, port: int) -> None:
        """Let a router give one UDP port inside another public port than before; it goes on to know all others."""
        moved = self._moved.setdefault(name, {})
        moved[port] = moved[port] + nft.PORTS if port in moved else nft.FIRST_PORT + len(moved)
        self.change(name, [_order(self._nat(name), None, list(moved.items())), ("forget_socket", port)])

    def set_nat(self, name: str, kind: str, *, forget: bool = True) -> None:
        """Make a router one of another kind, and let it forget its connections."""
        self._moved.pop(name, None)
        order = _order(replace(self._nat(name), kind=kind))
        self.change(name, [order, *([("forget_connections",)] if forget else [])])

    def _nat(self, name: str) -> Nat:
        for nat in self.topology.nats:
            if nat.node == name:
                return nat
        raise BugError(f"the node {name} is no NAT router")


def _order(nat: Nat, *more: Any) -> Step:
    return ("nat", nat.kind, nat.outside, nat.host, *more)


def routing(nat: Nat) -> list[Step]:
    """What makes a router of a node."""
    steps: list[Step] = [_order(nat)]
    if nat.udp_timeout is not None:
        for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
            steps.append(("sysctl", f"net/netfilter/{name}", str(nat.udp_timeout)))
    return steps
