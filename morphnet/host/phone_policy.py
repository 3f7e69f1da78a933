"""
The network's policy for phones: rules in the nftables table `inet morphnet_TUN_phones`, as no tunnel of ours has what
they send.

What comes by the WireGuard device is judged before anything changes its destination (after connection tracking, before
DNAT), so by the addresses that the phone wrote, whether it is for this machine or is handed on. What goes to phones
is judged where it is known to go there: what this machine says itself, and what it hands on from others than the TUN;
what comes out of that, the data plane's own guard has judged.

The rules of the policy hold for every packet, those of a connection that stands as well: so one that a new policy does
not allow ends. Answers are what connection tracking takes for them. For the rule of place N there are the chains
`from_N` (of phones, to whom?), `to_N` (to phones, of whom?) and `ports_N`; what all of them say of the world is in
`from_world` and `to_world`.

What a rule of ours says is a line of text, so that the journal can hold it: CHAIN, matches, and what to do.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from morphnet.config.policy import ANY, ANYBODY, NOT_WORLD, TCP, UDP, WORLD, Policy, Ports, called, is_public
from morphnet.host import nft
from morphnet.host.kernel import Kernel
from morphnet.host.owntable import OwnTable

_ICMPS = (b"\x01", nft.ICMP6)
_OF, _HANDED_ON, _OWN = "of_phones", "handed_on", "own"  # chains that judge
_NEAR, _FAR = {"from": "saddr", "to": "daddr"}, {"from": "daddr", "to": "saddr"}  # where phones are, and the others


@dataclass(frozen=True)
class Known:
    """What is judged by."""

    policy: Policy
    machines: Mapping[str, Sequence[str]]  # inner addresses by what rules call a machine, `gateway` among them
    pools: tuple[str, ...]  # inner networks, in CIDR notation: not of the world


def phone_lines(known: Known, phones: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """
    What the policy says of phones.

    :param phones: inner addresses of each, by name.
    """
    there = [ipaddress.ip_address(each) for several in phones.values() for each in several]
    named = {name: phones[name] for name in phones if called(name)}
    machines = {**known.machines, **named}
    lines, world = list[str](), {"from": list[str](), "to": list[str]()}
    for number, (rule, ports) in enumerate(known.policy.written, 1):
        used = False
        for way, ours, theirs in (("from", rule.sources, rule.targets), ("to", rule.targets, rule.sources)):
            mine = [each for each in _networks(ours, named) if any(at in ipaddress.ip_network(each) for at in there)]
            matches = [""] if ANYBODY in ours else [f"{_NEAR[way]} {each} " for each in mine]
            far = [""] if ANYBODY in theirs else [f"{_FAR[way]} {each} " for each in _networks(theirs, machines)]
            if matches and far:
                lines += [f"{way} {each}jump {way}_{number}" for each in matches]
                lines += [f"{way}_{number} {each}jump ports_{number}" for each in far]
            if matches and WORLD in theirs:
                world[way] += [f"{way}_world {each}jump ports_{number}" for each in matches]
            used = used or bool(matches and (far or WORLD in theirs))
        if used:
            lines += [f"ports_{number} {_at(each)}accept" for each in dict.fromkeys(ports)]
    for way, beyond in world.items():
        if beyond:
            inner = (f"{way}_world {_FAR[way]} {each} return" for each in _not_world(known.pools, machines))
            lines += [*inner, *beyond, f"{way} jump {way}_world"]
    return tuple(lines)


def _not_world(pools: Iterable[str], machines: Mapping[str, Sequence[str]]) -> list[str]:
    named = (each for several in machines.values() for each in several)
    public = (_alone(each) for each in named if is_public(ipaddress.ip_address(each).packed))
    return list(dict.fromkeys([*map(str, NOT_WORLD), *pools, *public]))


def _networks(entries: Iterable[str], machines: Mapping[str, Sequence[str]]) -> list[str]:
    """Those that they name, and the addresses of machines that they name."""
    found = dict[str, None]()
    for each in entries:
        found |= dict.fromkeys([each] if "/" in each else map(_alone, machines.get(each, ())))
    return list(found)


def _alone(address: str) -> str:
    return str(ipaddress.ip_network(address))


def _at(ports: Ports) -> str:
    return "" if ports.protocol == ANY else f"ports {ports.protocol} {ports.first} {ports.last} "


@dataclass(frozen=True, slots=True)
class PhonePolicy(OwnTable):
    """The table, while there is a policy."""

    kind: ClassVar[str] = "phone-policy"
    device: str  # WireGuard's
    tun: str
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"morphnet_{self.tun}_phones"

    def refused(self, kernel: Kernel) -> tuple[int, int]:
        """Packets of phones, and for phones, that were dropped since the table was made. :raises HostError: unread."""
        of, others, own = (nft.counted_packets(kernel.nft_dump, self.name, each) for each in (_OF, _HANDED_ON, _OWN))
        return of, others + own

    def made(self) -> list[bytes]:
        chains = dict.fromkeys(["from", "to", *(each.split()[0] for each in self.lines)])
        by, towards = nft.device(nft.IIFNAME, self.device), nft.device(nft.OIFNAME, self.device)
        others = nft.device(nft.IIFNAME, self.device, equal=False) + nft.device(nft.IIFNAME, self.tun, equal=False)
        return [
            *(nft.add_plain_chain(self.name, each) for each in chains),
            *(self._rule(each) for each in self.lines),
            nft.add_chain(self.name, _OF, "filter", nft.PREROUTING, nft.MANGLE),
            *self._judged(_OF, by, "from"),
            nft.add_chain(self.name, _HANDED_ON, "filter", nft.FORWARD, nft.FILTER),
            *self._judged(_HANDED_ON, towards + others, "to"),
            nft.add_chain(self.name, _OWN, "filter", nft.OUTPUT, nft.FILTER),
            *self._judged(_OWN, towards, "to"),
        ]

    def _judged(self, chain: str, which: bytes, rules: str) -> list[bytes]:
        """Answers pass, and errors about something; the rest as the rules say, which return what they do not allow."""
        answers = which + nft.connection(nft.DIRECTION, nft.REPLY) + nft.state(nft.ESTABLISHED) + nft.accept()
        made = [nft.add_rule(self.name, chain, answers)]
        for protocol in _ICMPS:
            icmp = which + nft.meta(nft.L4PROTO, protocol)
            made.append(nft.add_rule(self.name, chain, icmp, nft.state(nft.RELATED), nft.accept()))
            made.append(nft.add_rule(self.name, chain, icmp, nft.state(nft.INVALID), nft.counted(), nft.drop()))
        made.append(nft.add_rule(self.name, chain, which, nft.jump(rules)))
        return [*made, nft.add_rule(self.name, chain, which, nft.counted(), nft.drop())]

    def _rule(self, line: str) -> bytes:
        chain, *words = line.split()
        expressions = b""
        while words:
            match words:
                case ["saddr", network, *words]:
                    expressions += nft.source(network)
                case ["daddr", network, *words]:
                    expressions += nft.destination(network)
                case ["ports", protocol, first, last, *words]:
                    expressions += _port_match(int(protocol), int(first), int(last))
                case ["jump", to, *words]:
                    expressions += nft.jump(to)
                case [verdict, *words]:
                    expressions += nft.accept() if verdict == "accept" else nft.back()
        return nft.add_rule(self.name, chain, expressions)


def _port_match(protocol: int, first: int, last: int) -> bytes:
    number = bytes([protocol])
    return nft.ports(number, first, last) if protocol in (TCP, UDP) else nft.meta(nft.L4PROTO, number)
