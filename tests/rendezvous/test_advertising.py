"""Networks behind clients: who has what."""

from __future__ import annotations

import ipaddress
import sys
from itertools import combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.advertising import (
    ASKED,
    IDLE,
    REFUSED,
    STANDBY,
    USED,
    Advertised,
    reached_by,
    used_of,
)
from morphnet.rendezvous.owned import Own, Owned

LAN = "192.168.7.0/24"
POOL = Own("10.73.0.0/24", "the inner network")
_network = st.builds(
    lambda address, length: str(ipaddress.ip_network(f"{address}/{length}", strict=False)),
    st.ip_addresses(v=4, network="10.0.0.0/14") | st.ip_addresses(v=4, network="10.73.0.0/16"),
    st.integers(8, 32),
)


class AdvertisedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.advertised = Advertised()

    def approve(self, *pairs: tuple[str, str]) -> None:
        self.advertised.approved = frozenset(pairs)

    def states(self, *away: str) -> dict[tuple[str, str], str]:
        return {(each.client, each.network): each.state for each in self.advertised.standings([Owned([POOL])], away)}

    def why(self) -> list[str]:
        return [f"{each.network} {each.why}" for each in self.advertised.standings([Owned([POOL])]) if each.why]

    def test_approval(self) -> None:
        """What is offered is used when it is approved for that client, for as long as it is both."""
        self.advertised.offers("laptop", [LAN, "fd07::/64"])
        self.approve(("laptop", LAN), ("desk", "fd07::/64"))
        self.assertEqual(
            self.states(), {("laptop", LAN): USED, ("laptop", "fd07::/64"): ASKED, ("desk", "fd07::/64"): IDLE}
        )
        self.approve()
        self.assertEqual(self.states()["laptop", LAN], ASKED)
        self.approve(("laptop", LAN))
        self.advertised.offers("laptop", [])
        self.assertEqual(self.states(), {("laptop", LAN): IDLE})

    def test_written_otherwise(self) -> None:
        """A network is the same however its client writes it."""
        self.advertised.offers("laptop", ["FD07::/64", "192.168.7.9", "172.16.0.0/255.240.0.0", "fd07:0::/64"])
        self.approve(*(("laptop", each) for each in ("fd07::/64", "192.168.7.9/32", "172.16.0.0/12")))
        self.assertEqual(list(self.states().values()), [USED] * 3)

    def test_refused(self) -> None:
        """What the gateway has itself, what is all the world, and what is no network of a machine's, is refused."""
        offered = ["10.73.0.128/25", "10.0.0.0/8", "0.0.0.0/0", "127.0.0.0/8", "fe80::/64", "ff00::/8", "::/0"]
        self.advertised.offers("laptop", offered)
        self.approve(*(("laptop", each) for each in offered))
        self.assertEqual(set(self.states().values()), {REFUSED})
        self.assertIn("10.73.0.128/25 overlaps 10.73.0.0/24, the inner network", self.why())
        self.assertIn("0.0.0.0/0 is too large: /8 is the most", self.why())

    def test_other_family(self) -> None:
        """What the gateway could lead nowhere is refused, and not said to be reached."""
        self.advertised.offers("laptop", [LAN, "fd07::/64"])
        self.approve(("laptop", LAN), ("laptop", "fd07::/64"))
        self.advertised.families = frozenset((4,))
        self.assertEqual(self.states(), {("laptop", LAN): USED, ("laptop", "fd07::/64"): REFUSED})
        self.assertEqual(self.why(), ["fd07::/64 is IPv6, which the gateway does not have inside"])

    def test_takes_over(self) -> None:
        """The first to come has it; the second stands by, takes over when that is away, and keeps it then."""
        self.approve(("first", LAN), ("second", "192.168.0.0/16"))
        self.advertised.offers("first", [LAN])
        self.advertised.offers("second", ["192.168.0.0/16"])
        first, second = ("first", LAN), ("second", "192.168.0.0/16")
        self.assertEqual(self.states(), {first: USED, second: STANDBY})
        self.assertEqual(self.why(), ["192.168.0.0/16 stands by while first has 192.168.7.0/24 behind it"])
        self.assertEqual(self.states("first"), {first: STANDBY, second: USED})
        self.assertEqual(self.states(), {first: STANDBY, second: USED})
        self.advertised.offers("second", [])
        self.assertEqual(self.states(), {first: USED, second: IDLE})

    def test_many(self) -> None:
        """What a look costs grows with what there is, and not with its square."""
        calls: list[int] = []
        for many in (100, 400):
            advertised = Advertised()
            offers = [(f"c{number}", f"10.{number // 200}.{number % 200}.0/24") for number in range(many)]
            advertised.approved = frozenset(offers)
            for client, network in offers:
                advertised.offers(client, [network])
            own, counted = Owned(Own(f"172.16.{number}.0/24", "") for number in range(200)), [0]
            profile = lambda frame, event, thing, counted=counted: counted.__setitem__(0, counted[0] + 1)  # noqa: E731
            advertised.standings([own])  # what is read of the texts is kept
            sys.setprofile(profile)
            try:
                standings = advertised.standings([own])
            finally:
                sys.setprofile(None)
            self.assertEqual({each.state for each in standings}, {USED})
            calls += counted
        self.assertLess(calls[1], 5 * calls[0])

    def test_away_alone(self) -> None:
        """Whoever is away keeps what nobody else offers."""
        self.approve(("first", LAN))
        self.advertised.offers("first", [LAN])
        self.assertEqual(self.states("first"), {("first", LAN): USED})

    def test_reached(self) -> None:
        """Each client reaches what is behind the others."""
        self.approve(("a", LAN), ("b", "10.5.0.0/16"))
        self.advertised.offers("a", [LAN])
        self.advertised.offers("b", ["10.5.0.0/16"])
        standings = self.advertised.standings([Owned([POOL])])
        self.assertEqual(
            [reached_by(each, standings) for each in "abc"], [("10.5.0.0/16",), (LAN,), (LAN, "10.5.0.0/16")]
        )
        self.assertEqual(used_of(standings), {"a": (LAN,), "b": ("10.5.0.0/16",)})

    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.lists(_network, max_size=4)), max_size=6),
        st.sets(st.sampled_from("abc")),
    )
    def test_no_overlap(self, offers: list[tuple[str, list[str]]], away: set[str]) -> None:
        """Whatever is offered, in whatever order, no address is in two networks in use, nor in the gateway's."""
        advertised = Advertised()
        advertised.approved = frozenset((client, network) for client, networks in offers for network in networks)
        for client, networks in offers:
            advertised.offers(client, networks)
            for gone in ((), away):
                used = [each.network for each in advertised.standings([Owned([POOL])], gone) if each.state == USED]
                every: list[Any] = [ipaddress.ip_network(each) for each in (POOL.network, *used)]
                self.assertFalse([pair for pair in combinations(every, 2) if pair[0].overlaps(pair[1])])
