"""Reading a policy, and what it says."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.policy import (
    ICMP,
    ICMP6,
    MOST_RULES,
    TCP,
    UDP,
    WORLD,
    Policy,
    Rule,
    Who,
    asked_ports,
    from_text,
    from_toml,
    is_public,
)
from morphnet.errors import ConfigError

EXAMPLE = """
[groups]
admins = ["laptop", "desk"]
offices = ["192.168.7.0/24", "fd07::/64"]

[[allow]]
from = ["@admins"]
to = ["home", "@offices"]
ports = ["22/tcp", "icmp", "8000-8010/udp"]

[[allow]]
from = "*"
to = "world"

[[allow]]
from = "10.99.0.0/24"
to = "gateway"
ports = "443"
"""


def who(*names: str, address: str = "10.73.0.2") -> Who:
    return Who(names, ipaddress.ip_address(address).packed)


class RulesTests(SynchronousTestCase):
    def allowed(self, source: Who, target: Who, protocol: int, port: int) -> int:
        """The number of the rule, 0 for none."""
        rule = from_toml(EXAMPLE).allows(source, target, protocol, port)
        return rule.number if rule is not None else 0

    def test_names_and_ports(self) -> None:
        """A member of a group reaches what the rule names, at its ports; nobody else does, nor another port."""
        laptop, home, phone = who("laptop"), who("home"), who("phone")
        self.assertEqual(self.allowed(laptop, home, TCP, 22), 1)
        self.assertEqual([self.allowed(laptop, home, each, -1) for each in (ICMP, ICMP6, 47)], [1, 1, 0])
        self.assertEqual([self.allowed(laptop, home, UDP, port) for port in (7999, 8000, 8010, 8011)], [0, 1, 1, 0])
        self.assertEqual([self.allowed(*pair, TCP, 22) for pair in ((home, laptop), (phone, home))], [0, 0])
        self.assertEqual(self.allowed(laptop, home, UDP, 22), 0)

    def test_networks_and_words(self) -> None:
        """Networks hold addresses, of their family alone; "gateway" and "world" are whom they mean."""
        inside, outside = who(address="192.168.7.9"), who(address="192.168.8.9")
        self.assertEqual([self.allowed(who("desk"), each, TCP, 22) for each in (inside, outside)], [1, 0])
        self.assertEqual(self.allowed(who("desk"), who(address="fd07::9"), TCP, 22), 1)
        self.assertEqual(self.allowed(who("phone"), who(WORLD, address="9.9.9.9"), 47, -1), 2)
        self.assertEqual(self.allowed(who("phone"), outside, TCP, 443), 0)
        gateway, lan = who("gateway", "vpn.example"), who(address="10.99.0.7")
        self.assertEqual([self.allowed(lan, gateway, each, 443) for each in (TCP, UDP, ICMP)], [3, 3, 0])

    def test_named(self) -> None:
        """Machines that it names, groups written out."""
        self.assertEqual(from_toml(EXAMPLE).named, {"laptop", "desk", "home"})

    def test_public(self) -> None:
        """Of the world is what is no private network, nor many, nor the machine itself."""
        public = {
            each: is_public(ipaddress.ip_address(each).packed) for each in ("9.9.9.9", "2606:4700::1", "10.1.1.1")
        }
        self.assertEqual(list(public.values()), [True, True, False])
        for each in (
            "192.168.1.1",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "::1",
        ):
            self.assertFalse(is_public(ipaddress.ip_address(each).packed), each)

    def test_asked(self) -> None:
        """One port is asked about, not many."""
        self.assertEqual(asked_ports("22/tcp"), [(TCP, 22)])
        self.assertEqual(asked_ports("443"), [(TCP, 443), (UDP, 443)])
        self.assertEqual(asked_ports("icmp"), [(ICMP, -1), (ICMP6, -1)])
        for each in ("*", "tcp", "1-2/tcp", "x"):
            self.assertRaises(ConfigError, asked_ports, each)


class ReadingTests(SynchronousTestCase):
    def wrong(self, text: str) -> str:
        return str(self.assertRaises(ConfigError, from_toml, text))

    def test_mistakes(self) -> None:
        """Each is one sentence that says where."""
        rule = '[[allow]]\nfrom = "*"\nto = "*"\n'
        for text, said in {
            "x = 1": "'x', which is neither",
            "allow = 3": "begins with [[allow]]",
            "= 3": "no TOML",
            rule + "port = 3": "rule 1 of the policy has 'port'",
            rule + 'ports = "22/sctp"': "rule 1 of the policy: '22/sctp' are no ports",
            rule + "ports = 22": "needs a text",
            rule + 'ports = "9-8"': "no ports",
            rule + "ports = []": "needs a text",
            '[[allow]]\nto = "*"': "does not say from whom",
            '[[allow]]\nfrom = "@x"\nto = "*"': "no group 'x'",
            '[[allow]]\nfrom = "10.0.0.1/8"\nto = "*"': "'10.0.0.1/8' is no name",
            '[[allow]]\nfrom = "fe80::1%eth0"\nto = "*"': "'fe80::1%eth0' is no name",
            '[[allow]]\nfrom = "Some One"\nto = "*"': "is no name",
            '[groups]\n"a b" = ["x"]': "no name for a group",
            '[groups]\na = ["world"]': "group a of the policy: 'world'",
            rule * (MOST_RULES + 1): "at most",
        }.items():
            self.assertIn(said, self.wrong(text), text)

    def test_one_address(self) -> None:
        """One address is a network of its own."""
        found = from_toml('[[allow]]\nfrom = "10.73.0.9"\nto = "fd73::9"')
        self.assertEqual((found.rules[0].sources, found.rules[0].targets), (("10.73.0.9/32",), ("fd73::9/128",)))

    def test_empty(self) -> None:
        """A policy without a rule allows nothing; an open one is none."""
        empty = from_toml("")
        self.assertEqual((empty.is_open, empty.allows(who("a"), who("b"), TCP, 1)), (False, None))
        self.assertTrue(from_text(Policy(is_open=True).as_text()).is_open)

    @given(st.lists(st.tuples(st.sampled_from(["*", "a", "10.0.0.0/8", "world"]), st.sampled_from(["b", "gateway"]))))
    def test_as_signed(self, pairs: list[tuple[str, str]]) -> None:
        """What is signed says the same."""
        policy = Policy(Rule(number, (one,), (other,), ("22/tcp",)) for number, (one, other) in enumerate(pairs, 1))
        self.assertEqual(from_text(policy.as_text()), policy)
