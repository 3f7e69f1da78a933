"""Machines at one router, each with an address of the world."""

from __future__ import annotations

from collections.abc import Mapping

from morphnet.lab.topologies import Cable, End, Node, Route, Topology


def one_router(hosts: Mapping[str, str]) -> Topology:
    """
    :param hosts: name -> the first address of a /30; the router has the second.
    """
    nodes, cables = [Node("isp", forward=True)], []
    for turn, (name, address) in enumerate(hosts.items()):
        gateway = address.rpartition(".")[0] + f".{int(address.rpartition('.')[2]) + 1}"
        nodes.append(Node(name, routes=(Route("default", gateway),)))
        cables.append(Cable(End(name, "wan0", (f"{address}/30",)), End("isp", f"c{turn}", (f"{gateway}/30",))))
    return Topology("one router", tuple(nodes), tuple(cables), ())
