"""
The rules of nftables as the kernel tells them, made into steps for a probe (see `morphnet.host.verdicts`).

What iptables-nft writes is understood where it matters: interfaces, addresses and protocol are native there, connection
states are a match of xtables. Source: linux/netfilter/nf_tables.h, linux/netfilter/xt_conntrack.h.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from morphnet.host.netlink import attribute, attribute_pairs, attributes
from morphnet.host.nft import FORWARD
from morphnet.host.verdicts import Probe, Step

GETCHAIN, GETRULE, GETSETELEM = 10 << 8 | 4, 10 << 8 | 7, 10 << 8 | 13
FAMILIES = {2: "ip", 10: "ip6", 1: "inet"}
_VERDICTS = {0: "drop", 1: "accept", -3: "jump", -4: "goto", -5: "return"}
_IGNORED = frozenset({"counter", "log", "connlimit", "quota", "last"})
_STATE = 1  # XT_CONNTRACK_STATE

Dump = Callable[[int, bytes], list[bytes]]  # a kind of message, and what to ask: the answers
Value = bytes | None  # in a register; None: not known


@dataclass(frozen=True, slots=True)
class BaseChain:
    """One that forwarded packets pass."""

    family: int  # of nftables
    table: str
    name: str
    policy: str  # "accept" or "drop"


def forward_chains(dump: Dump) -> tuple[list[BaseChain], dict[tuple[int, str], set[str]]]:
    """The chains that forwarded packets pass, and the names of all chains by family and table."""
    found, names = list[BaseChain](), dict[tuple[int, str], set[str]]()
    for payload in dump(GETCHAIN, _header(0)):
        values, family = attributes(payload[4:]), payload[0]
        table, name = _word(values.get(1)), _word(values.get(3))
        names.setdefault((family, table), set()).add(name)
        hook = attributes(values.get(4, b""))
        if family in FAMILIES and 1 in hook and _number(hook[1]) == FORWARD and _word(values.get(7)) == "filter":
            found.append(BaseChain(family, table, name, "accept" if _number(values.get(5)) else "drop"))
    return found, names


def steps(dump: Dump, base: BaseChain, probe: Probe) -> Callable[[str], list[Step]]:
    """What gives the steps of a chain in the table of `base`; each chain is asked for once."""
    known: dict[str, list[Step]] = {}

    def steps_of(chain: str) -> list[Step]:
        if chain not in known:
            asked = _header(base.family) + _text(1, base.table) + _text(2, chain)
            rules = (attributes(each[4:]).get(4, b"") for each in dump(GETRULE, asked))
            known[chain] = [step for rule in rules for step in _Reader(dump, base, probe).steps(rule)]
        return known[chain]

    return steps_of


class _Reader:
    """Reads one rule: what is in the registers, and whether it still matches."""

    def __init__(self, dump: Dump, base: BaseChain, probe: Probe) -> None:
        self._dump, self._base, self._probe = dump, base, probe
        self._registers: dict[int, Value] = {}
        self._matches: bool | None = True

    def steps(self, expressions: bytes) -> Iterator[Step]:
        """One step, or one for each verdict of a map where it cannot be told which."""
        for _, expression in attribute_pairs(expressions):
            parts = attributes(expression)
            name, data = _word(parts.get(1)), attributes(parts.get(2, b""))
            verdicts = self._read(name, data)
            for code, chain in verdicts:
                yield Step(self._matches if len(verdicts) == 1 else None, _VERDICTS.get(code, ""), chain)
            if verdicts:
                return

    def _read(self, name: str, data: dict[int, bytes]) -> list[tuple[int, str]]:
        """Take in an expression; verdicts, where it has some."""
        match name:
            case "meta" | "ct" | "payload" if 1 in data:
                self._registers[_number(data[1])] = self._loaded(name, data)
            case "bitwise":
                self._registers[_number(data.get(2))] = self._masked(data)
            case "cmp":
                self._and(_compared(self._registers.get(_number(data.get(1))), data))
            case "lookup":
                return self._looked_up(data)
            case "immediate" if _number(data.get(1)) == 0:
                verdict = attributes(attributes(data.get(2, b"")).get(2, b""))
                return [(_signed(verdict.get(1)), _word(verdict.get(2)))]
            case "reject":
                return [(0, "")]
            case "target" if _word(data.get(1)) in ("REJECT", "DROP"):
                return [(0, "")]
            case "match":
                self._and(_xt_matches(_word(data.get(1)), data.get(3, b""), self._probe))
            case "target" | "immediate" | "meta" | "ct":
                pass  # sets something
            case _ if name not in _IGNORED:
                self._and(None)
        return []

    def _and(self, matches: bool | None) -> None:
        if self._matches is not False:
            self._matches = matches if matches is not True else self._matches

    def _loaded(self, name: str, data: dict[int, bytes]) -> Value:
        probe, key = self._probe, _number(data.get(2))
        if name == "ct":
            return {0: struct.pack("=I", probe.state), 2: struct.pack("=I", probe.status)}.get(key)
        if name == "payload":
            return self._header_part(_number(data.get(2)), _number(data.get(3)), _number(data.get(4)))
        family = 2 if probe.family == 4 else 10
        return {
            1: struct.pack("!H", 0x0800 if probe.family == 4 else 0x86DD),
            6: probe.arrives.encode().ljust(16, b"\0"),
            7: probe.leaves.encode().ljust(16, b"\0"),
            15: bytes([family]),
            16: b"\x06",
        }.get(key)

    def _header_part(self, base: int, offset: int, length: int) -> Value:
        """Of the network header, addresses and protocol are known."""
        ends = ipaddress.ip_address(self._probe.source).packed, ipaddress.ip_address(self._probe.to).packed
        places = (12, 16, 9) if self._probe.family == 4 else (8, 24, 6)
        for at, value in zip(places, (*ends, b"\x06"), strict=True):
            if base == 1 and at <= offset and offset + length <= at + len(value):
                return value[offset - at : offset - at + length]
        return None

    def _masked(self, data: dict[int, bytes]) -> Value:
        value = self._registers.get(_number(data.get(1)))
        mask, other = (attributes(data.get(kind, b"")).get(1) for kind in (4, 5))
        if value is None or mask is None or other is None:
            return None
        return bytes(a & b ^ c for a, b, c in zip(value, mask, other, strict=False))

    def _looked_up(self, data: dict[int, bytes]) -> list[tuple[int, str]]:
        """In a set, or in a map to verdicts."""
        value, inverted = self._registers.get(_number(data.get(2))), bool(_number(data.get(5)) & 1)
        elements = self._elements(data.get(1, b"")) if value is not None else None
        if 3 in data:  # a map; where what it says is not known, all that it could say
            said = (elements or {}).get(value[: _width(elements)]) if value is not None and elements else None
            if elements is not None:
                self._and(said is not None)
                return [said] if said is not None and said[0] != _NO_VERDICT else []
            self._and(None)
            return []
        self._and(None if elements is None or value is None else (value[: _width(elements)] in elements) != inverted)
        return []

    def _elements(self, name: bytes) -> dict[bytes, tuple[int, str]] | None:
        """The elements of a set, each with its verdict; None if they are not single values."""
        asked = _header(self._base.family) + _text(1, self._base.table) + attribute(2, name)
        found: dict[bytes, tuple[int, str]] = {}
        for payload in self._dump(GETSETELEM, asked):
            for _, element in attribute_pairs(attributes(payload[4:]).get(3, b"")):
                parts = attributes(element)
                key = attributes(parts.get(1, b"")).get(1)
                if key is None or 3 in parts:  # flags: an interval, or what matches all
                    return None
                verdict = attributes(attributes(parts.get(2, b"")).get(2, b""))
                found[key] = (_signed(verdict.get(1)), _word(verdict.get(2))) if verdict else (_NO_VERDICT, "")
        return found


_NO_VERDICT = 99


def _compared(value: Value, data: dict[int, bytes]) -> bool | None:
    wanted, operation = attributes(data.get(3, b"")).get(1), _number(data.get(2))
    if value is None or wanted is None or operation > 1:
        return None
    return (value[: len(wanted)] == wanted) == (operation == 0)  # shorter: a name with a wildcard


def _xt_matches(name: str, info: bytes, probe: Probe) -> bool | None:
    """What a match of xtables says; of most it is not known."""
    if name == "comment":
        return True
    if name in ("icmp", "icmp6", "udp", "sctp", "esp", "ah"):
        return False
    if name == "state" and len(info) >= 4:
        return bool(struct.unpack_from("=I", info)[0] & probe.state)
    if name == "conntrack" and len(info) >= 152:  # flags, inverted flags and states behind addresses and ports
        flags, inverted, states = struct.unpack_from("=HHH", info, 146)
        if flags == _STATE:
            return bool(states & probe.state) != bool(inverted & _STATE)
    return None


def _width(elements: dict[bytes, tuple[int, str]] | None) -> int:
    return len(next(iter(elements))) if elements else 0


def _header(family: int) -> bytes:
    return struct.pack("!BBH", family, 0, 0)


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _word(value: bytes | None) -> str:
    return (value or b"").rstrip(b"\0").decode(errors="replace")


def _number(value: bytes | None) -> int:
    return int.from_bytes(value, "big") if value is not None else 0


def _signed(value: bytes | None) -> int:
    return int.from_bytes(value, "big", signed=True) if value is not None else 0
