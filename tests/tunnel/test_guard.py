"""What the guard lets in: packets as they are handed to a TUN, against a policy."""

from __future__ import annotations

import ipaddress
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.policy import Policy, from_toml
from morphnet.tunnel.guard import AGE, FRAGMENT_AGE, FRESH, MOST_REFUSED, MOST_SENT, Guard, Refused
from morphnet.tunnel.places import OURSELVES, TOLD, Places
from morphnet.wire.inner import look
from tests.tunnel.test_work import Counted

LAPTOP, HOME, PHONE, WEB = "10.73.0.2", "10.73.0.3", "10.73.0.4", "9.9.9.9"
LAPTOP6, HOME6 = "fd73::2", "fd73::3"
SYN, FIN, RST, PSH, ACK = 2, 1, 4, 8, 16
POLICY = """
[[allow]]
from = "laptop"
to = "home"
ports = ["22/tcp", "53/udp", "icmp"]
[[allow]]
from = "home"
to = "world"
"""


def ip(source: str, target: str, protocol: int, payload: bytes, **more: int) -> bytearray:
    """A packet as the tunnel delivers it. `more`: fragment (the field of IPv4), number; options in words."""
    left, right = (ipaddress.ip_address(each).packed for each in (source, target))
    if len(left) == 16:
        return bytearray(10) + struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + left + right + payload
    words = more.get("words", 0)
    head = struct.pack("!BBH", 0x45 + words, 0, 20 + 4 * words + len(payload))
    head += struct.pack("!HHBBH", more.get("number", 7), more.get("fragment", 0), 64, protocol, 0)
    return bytearray(10) + head + left + right + more.get("option", 1).to_bytes(1, "big") * (4 * words) + payload


def tcp(source: str, target: str, ports: tuple[int, int], flags: int = SYN) -> bytearray:
    return ip(source, target, 6, struct.pack("!HHIIBBHHH", *ports, 1, 1, 5 << 4, flags, 500, 0, 0))


def udp(source: str, target: str, ports: tuple[int, int], **more: int) -> bytearray:
    return ip(source, target, 17, struct.pack("!HHHH", *ports, 40, 0) + bytes(32), **more)


def icmp(source: str, target: str, kind: int, rest: bytes = b"\0\1\0\1") -> bytearray:
    return ip(source, target, 1, bytes((kind, 0, 0, 0)) + rest)


class GuardCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.told: list[Refused] = []
        self.places, self.now = Places(), 1000.0
        self.places.are(OURSELVES, {HOME: ("home",), HOME6: ("home",)}, ["10.73.0.0/24", "fd73::/64"])
        self.places.are(TOLD, {LAPTOP: ("laptop",), LAPTOP6: ("laptop",), PHONE: ("phone",)})
        self.guard = Guard(from_toml(POLICY), self.places, self.told.append)
        self.places.changed = self.guard.forget

    def passes(self, *packets: bytearray) -> list[bool]:
        return [bool(self.guard.admit([each], self.now)) for each in packets]

    def sent(self, *packets: bytearray) -> None:
        self.guard.sent([memoryview(each) for each in packets], self.now)


class TcpTests(GuardCase):
    def test_begins(self) -> None:
        """A connection begins where a rule allows it, over both families; else nothing of it passes."""
        allowed = tcp(LAPTOP, HOME, (40000, 22)), tcp(LAPTOP6, HOME6, (40000, 22)), tcp(LAPTOP, HOME, (40000, 22), ACK)
        self.assertEqual(self.passes(*allowed, *allowed), [True] * 6)
        refused = tcp(LAPTOP, HOME, (40000, 80)), tcp(PHONE, HOME, (40000, 22)), tcp(HOME, LAPTOP, (40000, 22))
        self.assertEqual(self.passes(*refused, *refused), [False] * 6)

    def test_answers(self) -> None:
        """What answers passes without anybody's memory; it cannot begin anything, and must come from a port allowed."""
        flags = (SYN | ACK, ACK, PSH | ACK, FIN | ACK, RST, RST | ACK, SYN, SYN | FIN, FIN, 0, SYN | RST)
        answers = [tcp(HOME, LAPTOP, (22, 40000), each) for each in flags]
        self.assertEqual(self.passes(*answers), [True] * 6 + [False] * 5)
        self.assertEqual(self.passes(*answers), [True] * 6 + [False] * 5)  # as it was remembered
        self.assertEqual(self.passes(tcp(HOME, LAPTOP, (23, 40000), ACK), tcp(WEB, HOME, (443, 9), ACK)), [False, True])

    def test_cut_short(self) -> None:
        """A header that lacks what it is judged by is none, also of a flow that is known."""
        self.passes(tcp(HOME, LAPTOP, (22, 40000), ACK))
        whole = tcp(HOME, LAPTOP, (22, 40000), ACK)
        self.assertEqual(self.passes(whole[:43], whole[:34], whole[:32]), [False] * 3)


class RememberedTests(GuardCase):
    def test_udp(self) -> None:
        """An answer passes while what it answers was sent not long ago; nothing else from that port does."""
        answer, other = udp(WEB, HOME, (53, 50000)), udp(WEB, HOME, (53, 50001))
        self.assertEqual(self.passes(answer), [False])
        self.sent(udp(HOME, WEB, (50000, 53)))
        self.assertEqual(self.passes(answer, other, udp(PHONE, HOME, (53, 50000))), [True, False, False])
        self.now += AGE - 1
        self.sent(udp(HOME, WEB, (50000, 53)))
        self.now += AGE - 1
        self.assertEqual(self.passes(answer), [True])
        self.now += 1
        self.assertEqual(self.passes(answer), [False])

    def test_udp6(self) -> None:
        """The same over IPv6."""
        self.sent(udp(HOME6, "2606:4700::1", (50000, 53)))
        self.assertEqual(self.passes(udp("2606:4700::1", HOME6, (53, 50000))), [True])

    def test_not_allowed(self) -> None:
        """What may not be sent may not be answered."""
        self.sent(udp(HOME, LAPTOP, (50000, 7)))
        self.assertEqual(self.passes(udp(LAPTOP, HOME, (7, 50000))), [False])

    def test_bounded(self) -> None:
        """Those used last are remembered; what answers itself is not noted, nor what was noted a moment ago."""
        first = udp(HOME, WEB, (1, 1))
        self.sent(first)
        for number in range(2, MOST_SENT + 1):
            self.sent(udp(HOME, WEB, (number, 1)))
        self.now += FRESH
        self.sent(first)
        self.sent(udp(HOME, WEB, (1, 2)))
        self.assertEqual(self.passes(udp(WEB, HOME, (1, 1)), udp(WEB, HOME, (1, 2))), [True, False])
        self.assertEqual(self.guard.counts["policy_flows_forgotten"], 1)
        self.passes(udp(LAPTOP, HOME, (9, 53)))
        self.sent(udp(HOME, LAPTOP, (53, 9)))
        self.assertEqual(self.guard.counts["policy_flows_forgotten"], 1)

    def test_shared(self) -> None:
        """A machine that sends from ever other ports, and by both families, makes room among its own flows."""
        self.sent(udp(WEB, LAPTOP, (53, 9)), udp(PHONE, HOME, (1, 2)))
        for number in range(MOST_SENT // 2 + 1):
            self.sent(udp(HOME, PHONE, (number, 1)), udp(HOME6, LAPTOP6, (number, 1)))
        forbidden = '[[allow]]\nfrom = "phone"\nto = "home"\n[[allow]]\nfrom = "world"\nto = "laptop"'
        self.guard.obey(from_toml(forbidden))
        answers = udp(LAPTOP, WEB, (9, 53)), udp(HOME, PHONE, (2, 1))
        self.assertEqual(self.passes(*answers), [True, True])
        self.assertEqual(self.guard.counts["policy_flows_forgotten"], 4)

    def test_echo(self) -> None:
        """Whoever may be pinged answers, once asked; an answer nobody asked for does not pass, nor the other way."""
        self.assertEqual(self.passes(icmp(LAPTOP, HOME, 8), icmp(HOME, LAPTOP, 8)), [True, False])
        reply = icmp(WEB, HOME, 0, b"\0\5\0\1")
        self.assertEqual(self.passes(reply, icmp(LAPTOP, HOME, 0)), [False, False])
        self.sent(icmp(HOME, WEB, 8, b"\0\5\0\1"))
        self.assertEqual(self.passes(reply, icmp(WEB, HOME, 0, b"\0\6\0\1")), [True, False])

    def test_other_protocols(self) -> None:
        """What has no ports passes where all is allowed, and answers likewise."""
        self.assertEqual(self.passes(ip(LAPTOP, HOME, 47, bytes(8)), ip(WEB, HOME, 47, bytes(8))), [False, False])
        self.sent(ip(HOME, WEB, 47, bytes(8)))
        self.assertEqual(self.passes(ip(WEB, HOME, 47, bytes(8))), [True])


class ErrorsTests(GuardCase):
    def about(self, inner: bytearray, target: str = HOME, kind: int = 3) -> bool:
        """An ICMP error from anywhere, about the first 28 bytes of a packet."""
        return self.passes(icmp("10.73.0.99", target, kind, bytes(4) + inner[10:38]))[0]

    def test_about(self) -> None:
        """An error passes when it is about what its receiver may have sent, as the first or as an answer."""
        self.assertTrue(self.about(udp(HOME, WEB, (50000, 53))))
        self.assertTrue(self.about(tcp(HOME, LAPTOP, (22, 40000), ACK), kind=11))
        self.assertFalse(self.about(tcp(HOME, LAPTOP, (23, 40000), ACK)))
        self.assertFalse(self.about(udp(PHONE, WEB, (50000, 53))))  # somebody else's
        self.assertFalse(self.about(udp(HOME, WEB, (50000, 53)), kind=5))  # a redirect is nothing for us
        self.assertFalse(self.passes(icmp(WEB, HOME, 3, bytes(4)))[0])

    def test_too_big(self) -> None:
        """So is "packet too big" of IPv6."""
        about = tcp(HOME6, "2606:4700::1", (40000, 443))[10:]
        error = ip("fd73::1", HOME6, 58, bytes((2, 0, 0, 0)) + bytes(4) + bytes(about))
        self.assertEqual(self.passes(error), [True])


class FragmentsTests(GuardCase):
    def part(self, offset: int, *, more: bool = True, number: int = 7, port: int = 53) -> bytearray:
        field = (0x2000 if more else 0) | offset // 8
        return udp(LAPTOP, HOME, (9, port), fragment=field, number=number)

    def test_follow(self) -> None:
        """What follows a first one that passed does, for a while; what comes alone, or too near its head, does not."""
        self.assertEqual(self.passes(self.part(800)), [False])
        self.assertEqual(self.passes(self.part(0), self.part(800), self.part(1600, more=False)), [True] * 3)
        self.assertEqual(self.passes(self.part(8), self.part(800, number=8)), [False, False])
        self.assertEqual(self.passes(self.part(0, number=8, port=54), self.part(800, number=8)), [False, False])
        self.now += FRAGMENT_AGE
        self.assertEqual(self.passes(self.part(800)), [False])

    def test_all_allowed(self) -> None:
        """Where everything may pass it does in any order."""
        self.guard.obey(from_toml('[[allow]]\nfrom = "laptop"\nto = "home"'))
        self.assertEqual(self.passes(self.part(800)), [True])

    def test_ipv6(self) -> None:
        """The header of fragments is looked through, and others in front of it."""
        inside = struct.pack("!HHHH", 9, 53, 40, 0) + bytes(32)

        def part(offset: int, port: int = 53) -> bytearray:
            payload = inside if port == 53 else struct.pack("!HHHH", 9, port, 40, 0) + bytes(32)
            fragment = struct.pack("!BBHI", 17, 0, offset << 3 | 1, 99)
            return ip(LAPTOP6, HOME6, 60, bytes((44, 0)) + bytes(6) + fragment + payload)

        self.assertEqual(self.passes(part(100), part(0), part(100), part(0, 54)), [False, True, True, False])

    def test_options_within(self) -> None:
        """Options may be in what is cut: the later fragments name them, where the first one leads on to its ports."""

        def part(offset: int, payload: bytes) -> bytearray:
            return ip(LAPTOP6, HOME6, 44, struct.pack("!BBHI", 60, 0, offset | 1, 99) + payload)

        options = bytes((17, 0)) + bytes(6)
        first = part(0, options + struct.pack("!HHHH", 9, 53, 800, 0) + bytes(32))
        self.assertEqual(self.passes(part(48, bytes(48)), first, part(48, bytes(48))), [False, True, True])

    def test_routes(self) -> None:
        """A packet that says its own way may go elsewhere than it says: refused."""
        way = bytes((17, 2, 4, 1)) + bytes(20)
        self.assertEqual(self.passes(ip(LAPTOP6, HOME6, 43, way + struct.pack("!HHHH", 9, 53, 8, 0))), [False])
        plain, routed = (udp(LAPTOP, HOME, (9, 53), words=2, option=each) for each in (1, 131))
        self.assertEqual(self.passes(plain, routed), [True, False])


class CountingTests(GuardCase):
    def test_pairs(self) -> None:
        """Each pair is told once, and its packets are counted; of very many pairs the rest is counted together."""
        for _ in range(3):
            self.passes(tcp(LAPTOP, HOME, (40000, 80)), tcp(PHONE, HOME, (1, 2)), udp("192.168.1.1", HOME, (1, 2)))
        expected = [Refused("laptop", "home", "80/tcp"), Refused("phone", "home", "2/tcp")]
        self.assertEqual(self.told, [*expected, Refused("192.168.1.1", "home", "2/udp")])
        self.assertEqual([count for _, count in self.guard.refused.values()], [3, 3, 3])
        self.assertEqual(self.guard.counts["policy_refused"], 9)
        for number in range(MOST_REFUSED):
            self.passes(tcp(f"192.168.{2 + number // 200}.{1 + number % 200}", HOME, (1, 2)))
        self.assertEqual((len(self.told), len(self.guard.refused)), (MOST_REFUSED, MOST_REFUSED))
        self.assertEqual(self.guard.counts["policy_refused_untold"], 3)

    def test_judged_once(self) -> None:
        """A run of packets of one flow is judged once, and again when policy or names change."""
        asked = 0

        class Asked(Policy):
            def between(self, *ends: object) -> list[object]:  # type: ignore[override]
                nonlocal asked
                asked += 1
                return super().between(*ends)  # type: ignore[arg-type,return-value]

        self.guard.obey(Asked(from_toml(POLICY).rules))
        packets = [tcp(LAPTOP, HOME, (port, 22), ACK) for port in (40000, 40001) for _ in range(50)]
        self.assertEqual((len(self.guard.admit(packets, self.now)), asked), (100, 1))
        self.places.add(TOLD, {"10.73.0.9": ("desk",)})
        self.assertEqual((len(self.guard.admit(packets, self.now)), asked), (100, 2))
        self.guard.obey(from_toml(""))
        self.assertEqual(self.guard.admit(packets, self.now), [])

    def test_cost(self) -> None:
        """What is known already costs few calls of functions a packet, answers some more."""
        self.sent(udp(HOME, WEB, (9, 53)))
        for packet, most in (
            (tcp(LAPTOP, HOME, (9, 22), ACK), 3),
            (tcp(LAPTOP6, HOME6, (9, 22), ACK), 3),
            (tcp(HOME, LAPTOP, (22, 9), ACK), 5),
            (udp(WEB, HOME, (53, 9)), 8),
        ):
            self.guard.admit([packet], self.now)
            with Counted() as counted:
                kept = self.guard.admit([packet] * 100, self.now)
            self.assertEqual(len(kept), 100)
            self.assertLessEqual(counted.calls / 100, most + 0.1)

    @given(st.binary(max_size=120), st.sampled_from([0x45, 0x46, 0x4F, 0x60, 0x55]))
    def test_anything(self, data: bytes, first: int) -> None:
        """Whatever comes, it is judged."""
        packet = bytearray(10) + bytes((first,)) + bytearray(data) + bytearray(20)
        self.assertIn(len(self.guard.admit([packet], self.now)), (0, 1))
        self.guard.sent([memoryview(packet)], self.now)
        look(packet, 10, cut=True)
