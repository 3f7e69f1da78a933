"""What iptables-legacy -S prints, understood."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.verdicts import NEW, Probe, judge
from morphnet.host.xtables import listing, steps

PROBE = Probe("morph0", "eth0", "10.73.0.2", "198.51.100.1", NEW)


def judged(*rules: str, policy: str = "DROP") -> str:
    added = [each if each.startswith("-A ") else f"-A FORWARD {each}" for each in rules]
    table = listing("\n".join([f"-P FORWARD {policy}", "-N OWN", *added]))
    return judge(steps(table, PROBE), "FORWARD", table.policies["FORWARD"])


class XtablesTests(SynchronousTestCase):
    def test_rules(self) -> None:
        """Devices, addresses, protocol and state, each of them inverted as well; what is not known is perhaps."""
        for rule, verdict in (
            ("-i morph0 -j ACCEPT", "accept"),
            ("-i morph+ -o eth0 -j ACCEPT", "accept"),
            ("-i eth0 -j ACCEPT", "drop"),
            ("! -i eth0 -j ACCEPT", "accept"),
            ("! -i morph0 -j ACCEPT", "drop"),
            ("-s 10.73.0.0/24 -j ACCEPT", "accept"),
            ("-s 10.73.0.0/24 -d 192.168.0.0/16 -j ACCEPT", "drop"),
            ("-p tcp -j ACCEPT", "accept"),
            ("-p icmp -m icmp --icmp-type 8 -j ACCEPT", "drop"),
            ("-p tcp -m tcp --dport 443 -j ACCEPT", ""),
            ("-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "drop"),
            (' -m conntrack --ctstate NEW -m comment --comment "a - b" -j ACCEPT', "accept"),
            ("-m conntrack ! --ctstate NEW -j ACCEPT", "drop"),
            ("-m set --match-set good src -j ACCEPT", ""),
            (' -j LOG --log-prefix "x -j ACCEPT"', "drop"),
        ):
            self.assertEqual(judged(rule), verdict, rule)

    def test_chains(self) -> None:
        """A chain of the owner's is followed; REJECT is no other than DROP."""
        self.assertEqual(judged("-A FORWARD -j OWN", "-A OWN -i morph0 -j ACCEPT"), "accept")
        self.assertEqual(judged("-A FORWARD -j REJECT --reject-with icmp-port-unreachable", policy="ACCEPT"), "drop")

    @given(st.text(max_size=200))
    def test_rubbish(self, text: str) -> None:
        """No output of a program is too strange."""
        table = listing(text)
        judge(steps(table, PROBE), "FORWARD", "drop")
