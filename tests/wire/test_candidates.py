"""Where a peer may be, and where nobody can."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.candidates import (
    HOST,
    KINDS,
    MOST_CANDIDATES,
    SERVER_REFLEXIVE,
    Candidate,
    is_reachable,
    read_candidate,
    read_candidates,
    seen_by_relay,
)

HOSTILE = (
    "240.0.0.1",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "0.0.0.0",
    "127.0.0.1",
    "127.255.0.1",
    "169.254.169.254",
    "ff02::1",
    "::",
    "::1",
    "fe80::1",
    "::ffff:127.0.0.1",
    "::ffff:224.0.0.1",
    "::ffff:0.0.0.0",
    "::ffff:203.0.113.9",  # the same as its IPv4 address, for a socket that should have none
    "2001:db8::9%eth0",  # of one machine's own naming
)
GOOD = ("203.0.113.9", "10.0.0.7", "100.64.0.1", "2001:db8::9", "fd73::2")


class PlaceTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """A place is a kind, an address and a port, in words."""
        self.assertEqual(str(Candidate(SERVER_REFLEXIVE, "203.0.113.9", 4500)), "observed 203.0.113.9 4500")
        self.assertEqual(read_candidate("local 2001:DB8:0::9 51820"), Candidate(HOST, "2001:db8::9", 51820))

    @given(st.sampled_from(KINDS), st.ip_addresses(), st.integers(1, 65535))
    def test_round_trip(self, kind: str, host: ipaddress.IPv4Address, port: int) -> None:
        """A place where somebody can be is read as it was written."""
        place = Candidate(kind, str(host), port)
        if is_reachable(host):
            self.assertEqual(read_candidate(str(place)), place)
        else:
            self.assertRaises(MalformedFrame, read_candidate, str(place))

    @given(st.text(max_size=60))
    def test_junk(self, junk: str) -> None:
        """Any text is a place or a MalformedFrame."""
        for text in (junk, f"local {junk}", f"local 10.0.0.1 {junk}"):
            try:
                read_candidate(text)
            except MalformedFrame:
                pass

    def test_nobody_is_there(self) -> None:
        """Multicast, broadcast, loopback, link-local and unspecified addresses are no candidates; nor is port 0."""
        for host in HOSTILE:
            self.assertFalse(is_reachable(ipaddress.ip_address(host)), host)
            self.assertRaises(MalformedFrame, read_candidate, f"local {host} 4500")
        for host in GOOD:
            self.assertTrue(is_reachable(ipaddress.ip_address(host)), host)
            for port in ("0", "-1", "65536", "", "4500 x"):
                self.assertRaises(MalformedFrame, read_candidate, f"local {host} {port}")

    def test_unknown_kind(self) -> None:
        """A kind that is not ours is no place."""
        for text in ("satellite 203.0.113.9 4500", " 203.0.113.9 4500", "HOST 203.0.113.9 4500"):
            self.assertRaises(MalformedFrame, read_candidate, text)

    def test_only_the_good_ones(self) -> None:
        """Of many the candidates are taken, once each and in order; what is none does not harm the others."""
        texts = ["local 10.0.0.7 1", "satellite 10.0.0.8 1", "local 127.0.0.1 1", "observed 203.0.113.9 2",
                 "local 10.0.0.7 1", ""]  # fmt: skip
        self.assertEqual(
            read_candidates(texts), (Candidate(HOST, "10.0.0.7", 1), Candidate(SERVER_REFLEXIVE, "203.0.113.9", 2))
        )

    def test_seen_by_relay(self) -> None:
        """A relay can tell of where it saw somebody, and of private networks only if it is in one."""
        texts = ["line 203.0.113.9 1", "observed 198.51.100.6 2", "observed 192.168.1.1 53", "observed fd00::1 5",
                 "local 203.0.113.9 1", "varying 203.0.113.9 1", "stream 203.0.113.9 1", "mapped 203.0.113.9 1",
                 "witnessed 203.0.113.9 1"]  # fmt: skip
        self.assertEqual([str(each) for each in seen_by_relay(texts, "203.0.113.1")], texts[:2])
        self.assertEqual([str(each) for each in seen_by_relay(texts, "")], texts[:2])
        for relay in ("10.0.0.1", "100.64.0.1", "fd00::9", "172.16.9.9"):
            self.assertEqual([str(each) for each in seen_by_relay(texts, relay)], texts[:4])

    def test_bounded(self) -> None:
        """Of far too many, some."""
        many = [f"local 10.0.{i // 250}.{i % 250 + 1} 4500" for i in range(5000)]
        self.assertEqual([str(place) for place in read_candidates(many)], many[:MOST_CANDIDATES])
