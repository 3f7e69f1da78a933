"""The policy's rules for phones: they say what the judge of the data plane says."""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.policy import TCP, UDP, Policy, from_toml
from morphnet.host import nft
from morphnet.host.journal import decode_journal, encode_change
from morphnet.host.look import Look
from morphnet.host.netlink import NESTED, attribute, attributes
from morphnet.host.phone_policy import Known, PhonePolicy, phone_lines
from morphnet.tunnel.guard import Guard
from morphnet.tunnel.places import OURSELVES, TOLD, Places
from tests.host.fake_kernel import FakeKernel
from tests.tunnel.test_guard import icmp, ip, tcp, udp

POOLS = ("10.73.0.0/24", "fd73::/64", "198.18.5.0/24")
PHONES = {"phone": ("10.73.0.3", "fd73::3"), "tablet": ("10.73.0.4",), "world": ("10.73.0.9",)}
OTHERS = {"gateway": ("10.73.0.1", "fd73::1"), "gw": ("10.73.0.1", "fd73::1"), "laptop": ("10.73.0.2",)}
PLACES = (
    *("10.73.0.1", "fd73::1", "10.73.0.2", "10.73.0.3", "fd73::3", "10.73.0.4", "10.73.0.9", "10.73.0.77"),
    *("10.99.0.5", "192.168.7.9", "9.9.9.9", "2600::1", "198.18.5.7", "100.64.0.1", "224.0.0.251"),
)
ENTRIES = (
    "*",
    "gateway",
    "gw",
    "world",
    "phone",
    "tablet",
    "laptop",
    "nobody",
    "@all",
    "10.99.0.0/16",
    "10.73.0.3",
    "fd73::/64",
)
WHOLE = """
[[allow]]
from = "phone"
to = ["gateway", "world", "10.99.0.0/16"]
ports = ["22/tcp", "icmp", "8000-8100/udp"]
[[allow]]
from = ["world", "10.99.0.0/16"]
to = ["phone", "tablet"]
ports = "80"
[[allow]]
from = "10.73.0.4/31"
to = "*"
ports = "udp"
[[allow]]
from = "*"
to = ["fd73::/64", "laptop", "198.18.5.7"]
"""
PORTS = ("*", "22/tcp", "80", "8000-8100/udp", "tcp", "udp", "icmp")
NUMBERS = (22, 23, 80, 7999, 8000, 8100, 8101)


def passes(lines: tuple[str, ...], chain: str, ends: tuple[str, str], protocol: int, port: int) -> bool:
    """As the kernel goes through them; what no line accepts does not pass."""
    return _goes(lines, chain, tuple(map(ipaddress.ip_address, ends)), protocol, port) is True


def _goes(lines: tuple[str, ...], chain: str, ends: tuple[object, ...], protocol: int, port: int) -> bool | None:
    for line in lines:
        here, *words = line.split()
        if here != chain:
            continue
        *matches, verdict = words if words[-1] in ("accept", "return") else [*words[:-2], words[-1]]
        holds = True
        if matches[:1] == ["ports"]:
            wanted, first, last = map(int, matches[1:])
            holds = wanted == protocol and first <= port <= last
        elif matches:
            holds = ends[matches[0] == "daddr"] in ipaddress.ip_network(matches[1])
        if holds and verdict == "return":
            return None
        if holds and (verdict == "accept" or _goes(lines, verdict, ends, protocol, port)):
            return True
    return None


def guarding(policy: Policy) -> Guard:
    """The judge of the data plane."""
    places = Places()
    places.are(OURSELVES, dict.fromkeys(OTHERS["gw"], ("gateway", "gw")), POOLS)
    machines = {"laptop": OTHERS["laptop"], **PHONES}
    told = {address: () if name == "world" else (name,) for name, several in machines.items() for address in several}
    places.are(TOLD, told)
    return Guard(policy, places, lambda refused: None)


def judged(guard: Guard, ends: tuple[str, str], protocol: int, port: int) -> bool:
    """Whether the first packet gets in."""
    packet = {
        TCP: lambda: tcp(*ends, (40000, port)),
        UDP: lambda: udp(*ends, (40000, port)),
        1: lambda: icmp(*ends, 8),
        58: lambda: ip(*ends, 58, bytes((128, 0, 0, 0, 0, 1, 0, 1))),
    }.get(protocol, lambda: ip(*ends, 47, bytes(8)))()
    return bool(guard.admit([packet], 1000.0))


def rules() -> st.SearchStrategy[list[tuple[list[str], list[str], list[str]]]]:
    sides = st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=3)
    return st.lists(st.tuples(sides, sides, st.lists(st.sampled_from(PORTS), min_size=1, max_size=2)), max_size=3)


class LinesTests(SynchronousTestCase):
    @given(rules(), st.data())
    def test_as_the_guard(self, written: list[tuple[list[str], list[str], list[str]]], data: st.DataObject) -> None:
        """What phones begin, and what others begin with them, passes where the guard would let it in."""
        text = '[groups]\nall = ["phone", "laptop", "10.99.0.0/24"]\n' + "".join(
            f"[[allow]]\nfrom = {json.dumps(sources)}\nto = {json.dumps(targets)}\nports = {json.dumps(ports)}\n"
            for sources, targets, ports in written
        )
        policy = from_toml(text)
        lines = phone_lines(Known(policy, OTHERS, POOLS), PHONES)
        phone = data.draw(st.sampled_from([each for several in PHONES.values() for each in several]))
        protocol = data.draw(st.sampled_from([TCP, UDP, 58 if ":" in phone else 1, 47]))
        port = data.draw(st.sampled_from(NUMBERS)) if protocol in (TCP, UDP) else 0
        for far in (each for each in PLACES if (":" in each) == (":" in phone) and each != phone):
            for chain, ends in (("from", (phone, far)), ("to", (far, phone))):
                there = judged(guarding(policy), ends, protocol, port)
                self.assertEqual(passes(lines, chain, ends, protocol, port), there, (ends, lines))

    def test_everywhere(self) -> None:
        """One policy with all there is in it: every phone, with everybody, at every port."""
        policy, compared = from_toml(WHOLE), Counter[bool]()
        lines, guard = phone_lines(Known(policy, OTHERS, POOLS), PHONES), guarding(policy)
        for phone, far in product((each for several in PHONES.values() for each in several), PLACES):
            if phone == far or (":" in phone) != (":" in far):
                continue
            for protocol, port in (*product((TCP, UDP), NUMBERS), (58 if ":" in phone else 1, 0), (47, 0)):
                for chain, ends in (("from", (phone, far)), ("to", (far, phone))):
                    there = judged(guard, ends, protocol, port)
                    self.assertEqual(passes(lines, chain, ends, protocol, port), there, (ends, protocol, port))
                    compared[there] += 1
        self.assertGreater(min(compared[True], compared[False]), 200)

    def test_short(self) -> None:
        """Of rules that mean no phone there is nothing; the addresses of others are not gone through for each."""
        none = from_toml('[[allow]]\nfrom = "laptop"\nto = ["gateway", "world", "10.99.0.0/16"]')
        self.assertEqual(phone_lines(Known(none, OTHERS, POOLS), PHONES), ())
        ssh = from_toml('[[allow]]\nfrom = "phone"\nto = "gateway"\nports = ["22/tcp", "icmp"]')
        expected = (
            *("from saddr 10.73.0.3/32 jump from_1", "from saddr fd73::3/128 jump from_1"),
            *("from_1 daddr 10.73.0.1/32 jump ports_1", "from_1 daddr fd73::1/128 jump ports_1"),
            *("ports_1 ports 6 22 22 accept", "ports_1 ports 1 0 65535 accept", "ports_1 ports 58 0 65535 accept"),
        )
        self.assertEqual(phone_lines(Known(ssh, OTHERS, POOLS), PHONES), expected)


def told_rule(*counters: int) -> bytes:
    """A rule as the kernel tells it, with counters that have come to so many packets, and a verdict."""
    told = (
        attribute(1 | NESTED, attribute(1, b"counter\0") + attribute(2 | NESTED, both))
        for both in (attribute(1, (100 * each).to_bytes(8)) + attribute(2, each.to_bytes(8)) for each in counters)
    )
    return bytes(4) + attribute(4 | NESTED, b"".join(told) + nft.drop())


class TableTests(SynchronousTestCase):
    def test_refused(self) -> None:
        """What its chains have dropped is read from the kernel, by who has sent it."""
        kernel, table = FakeKernel(), PhonePolicy("morphwg0", "morph0", ())
        told = {"of_phones": [told_rule(), told_rule(3), told_rule(1 << 40)], "handed_on": [told_rule(5, 6)]}

        def dump(kind: int, payload: bytes) -> list[bytes]:
            asked = {number: value.rstrip(b"\0").decode() for number, value in attributes(payload[4:]).items()}
            self.assertEqual(asked[1], table.name)
            return told.get(asked[2], [])

        self.patch(kernel, "nft_dump", dump)
        self.assertEqual(table.refused(kernel), ((1 << 40) + 3, 11))

    def test_table(self) -> None:
        """Answers first, then the rules, and what they do not allow is counted and dropped: three ways."""
        table = PhonePolicy("morphwg0", "morph0", ("from jump from_1", "from_1 daddr 10.73.0.1/32 return"))
        made = b"".join(table.made())
        by, towards = (nft.device(key, "morphwg0") for key in (nft.IIFNAME, nft.OIFNAME))
        answers = nft.connection(nft.DIRECTION, nft.REPLY) + nft.state(nft.ESTABLISHED) + nft.accept()
        self.assertIn(by + answers, made)
        self.assertEqual(made.count(towards + answers), 1)  # what is handed on to phones came by neither device
        self.assertIn(by + nft.counted() + nft.drop(), made)
        self.assertEqual(made.count(nft.counted() + nft.drop()), 9)
        self.assertIn(nft.destination("10.73.0.1/32") + nft.back(), made)
        ports = PhonePolicy("morphwg0", "morph0", ("from ports 6 80 90 accept", "from ports 17 0 65535 accept"))
        made = b"".join(ports.made())
        self.assertIn(nft.ports(nft.TCP, 80, 90) + nft.accept(), made)
        self.assertIn(nft.meta(nft.L4PROTO, nft.UDP) + nft.accept(), made)

    def test_stands(self) -> None:
        """It comes back from a journal as it was, and is looked at whole."""
        kernel, table = FakeKernel(), PhonePolicy("morphwg0", "morph0", ("from accept",))
        _, (entry,) = decode_journal(encode_change(1, table), {PhonePolicy.kind: PhonePolicy})
        self.assertEqual(entry.change, table)
        table.apply(kernel)
        self.assertTrue(table.stands(Look(kernel)))
        self.assertFalse(PhonePolicy("morphwg0", "morph0", ()).stands(Look(kernel)))
        table.undo(kernel)
        self.assertFalse(table.stands(Look(kernel)))
