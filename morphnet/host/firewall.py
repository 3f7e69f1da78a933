"""
Whether the firewall of a gateway's own machine lets through what it forwards for its clients.

Docker, ufw and firewalld drop forwarded packets unless somebody accepts them, and no table of ours can accept for
another. So it is looked for, and the operator is told, with the line that cures it. What is asked is what a firewall
would do to a client's first packet to the world, and to the answer; see `morphnet.host.verdicts`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from twisted.logger import Logger

from morphnet.errors import HostError
from morphnet.host import nftrules, xtables
from morphnet.host.kernel import Kernel
from morphnet.host.nftrules import BaseChain
from morphnet.host.passing import WORLD, Passing
from morphnet.host.verdicts import ESTABLISHED, NEW, Probe, judge

LEGACY = {4: ("iptables-legacy", "/proc/net/ip_tables_names"), 6: ("ip6tables-legacy", "/proc/net/ip6_tables_names")}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A chain that drops what is forwarded for clients."""

    family: int  # 4 or 6
    where: str  # the chain, for a person
    cure: str  # what to run
    what: str = ""  # that is dropped; "" for what clients send to the world


def sentence(obstacles: Sequence[Obstacle]) -> str:
    """What the operator is told of them; "" for none."""
    if not obstacles:
        return ""
    said = list[str]()
    for what in dict.fromkeys(each.what for each in obstacles):
        these = [each for each in obstacles if each.what == what]
        where = " and ".join(dict.fromkeys(f"{each.where} for IPv{each.family}" for each in these))
        known = f"drops {what} ({where})" if what else f"drops what it forwards for clients ({where})"
        said.append(known if what else f"{known}: they reach this server, and nothing beyond it")
    cures = " && ".join(dict.fromkeys(each.cure for each in obstacles))
    return f"this machine's own firewall {', and '.join(said)}; let it pass with: {cures}"


def probes(tun: str, pools: Sequence[str], way_to: Callable[[str], str]) -> list[tuple[Probe, Probe]]:
    """
    A client's first packet to the world and the answer, for each pool.

    :param way_to: the device by which an address is reached.
    """
    found = []
    for pool in pools:
        network = ipaddress.ip_network(pool)
        client, world = str(network[2]), WORLD[network.version]
        way = way_to(world)
        there = Probe(tun, way, client, world, NEW)
        found.append((there, Probe(way, tun, world, client, ESTABLISHED)))
    return found


def obstacles(kernel: Kernel, tun: str, pools: Sequence[str], passing: Sequence[Passing] = ()) -> list[Obstacle]:
    """
    All chains that surely drop what is forwarded for clients.

    :param passing: what else is forwarded.
    :raises HostError: the kernel does not tell.
    """
    asked = [("", *each) for each in probes(tun, pools, kernel.way_to)]
    asked += [(each.what, *each.probes(kernel.way_to)) for each in passing]
    if not asked:
        return []
    found: list[Obstacle] = []
    chains, names = nftrules.forward_chains(kernel.nft_dump)
    for what, there, back in asked:
        for base in (each for each in chains if not each.table.startswith("morphnet_")):
            if base.family not in (1, 2 if there.family == 4 else 10):
                continue
            steps = [nftrules.steps(kernel.nft_dump, base, probe) for probe in (there, back)]
            if any(judge(each, base.name, base.policy) == "drop" for each in steps):
                where = f"nftables {nftrules.FAMILIES[base.family]} {base.table} {base.name}"
                found.append(Obstacle(there.family, where, _cure(base, names[base.family, base.table], tun), what))
        found += _legacy(kernel, tun, there, back, what)
    return found


def _cure(base: BaseChain, names: set[str], tun: str) -> str:
    """In the words of whoever made the chain, as far as he can be known by it."""
    if any(name.startswith(("ufw-", "ufw6-")) for name in names):
        return f"ufw route allow in on {tun} && ufw route allow out on {tun}"
    if base.table == "firewalld":
        return f"firewall-cmd --permanent --zone=trusted --add-interface={tun} && firewall-cmd --reload"
    if base.name == "FORWARD" and base.table == "filter" and base.family in (2, 10):
        return _insert("iptables" if base.family == 2 else "ip6tables", "DOCKER-USER" in names, tun)
    place = f"nft insert rule {nftrules.FAMILIES[base.family]} {base.table} {base.name}"
    return f"{place} iifname {tun} accept && {place} oifname {tun} accept"


def _insert(tool: str, docker: bool, tun: str) -> str:
    chain = "DOCKER-USER" if docker else "FORWARD"
    return f"{tool} -I {chain} -i {tun} -j ACCEPT && {tool} -I {chain} -o {tun} -j ACCEPT"


def _legacy(kernel: Kernel, tun: str, there: Probe, back: Probe, what: str) -> Iterator[Obstacle]:
    """The tables of old, which nftables does not tell of; they are asked for only where there are some."""
    tool, names = LEGACY[there.family]
    if "filter" not in kernel.file(names).content.split() or not kernel.has_tool(tool):
        return
    table = xtables.listing(kernel.ask([tool, "-S"]))
    policy = table.policies.get("FORWARD", "accept")
    if any(judge(xtables.steps(table, each), "FORWARD", policy) == "drop" for each in (there, back)):
        chains = table.rules
        if any(name.startswith(("ufw-", "ufw6-")) for name in chains):
            cure = f"ufw route allow in on {tun} && ufw route allow out on {tun}"
        else:
            cure = _insert(tool, "DOCKER-USER" in chains, tun)
        yield Obstacle(there.family, f"{tool} FORWARD", cure, what)


class Firewall:
    """
    Looks for obstacles, and tells when there is one, and when it is gone.

    :param tell: takes one line for the history.
    """

    _log = Logger()

    def __init__(self, look: Callable[[], Sequence[Obstacle]], tell: Callable[[str], None]) -> None:
        self._look, self._tell = look, tell
        self.warning = ""  # what is in the way now; "" for nothing

    def look(self) -> None:
        """Look now."""
        try:
            found = sentence(self._look())
        except HostError as problem:
            self._log.debug("the firewall cannot be read: {reason}", reason=str(problem))
            return
        before, self.warning = self.warning, found
        if found and found != before:
            self._log.warn("{text}", text=found)
            self._tell(found)
        elif before and not found:
            self._log.info("the firewall lets through what is forwarded for clients")
            self._tell("this machine's firewall lets through what it forwards for clients")
