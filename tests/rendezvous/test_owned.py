"""Networks that have addresses in common."""

from __future__ import annotations

import ipaddress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.owned import Own, Owned

_network = st.builds(
    lambda address, length: str(ipaddress.ip_network((address, length % (address.max_prefixlen + 1)), strict=False)),
    st.ip_addresses(v=4, network="10.0.0.0/14") | st.ip_addresses(v=6, network="fd00::/124"),
    st.integers(0, 128),
)


class OwnedTests(SynchronousTestCase):
    @given(st.lists(_network, max_size=8), st.lists(_network, max_size=8), _network)
    def test_like_each(self, before: list[str], later: list[str], asked: str) -> None:
        """Exactly those are found that have an address in common, whether they were there first or came later."""
        owned = Owned(Own(each, "") for each in before)
        for each in later:
            owned.add(Own(each, ""))
        parsed: Any = ipaddress.ip_network(asked)
        every: set[Any] = {ipaddress.ip_network(each) for each in (*before, *later)}
        expected = {str(each) for each in every if each.version == parsed.version and each.overlaps(parsed)}
        found = [each.network for each in owned.overlapping(asked)]
        self.assertEqual((set(found), len(found)), (expected, len(expected)))
        self.assertEqual(owned.overlap(asked) is None, not expected)

    def test_bits_behind(self) -> None:
        """An address with the length of its network stands for the network, and the first of two counts."""
        owned = Owned([Own("10.0.0.1/24", "first"), Own("10.0.0.0/24", "second")])
        owned.add(Own("10.0.0.0/24", "third"))
        self.assertEqual([each.what for each in owned.overlapping("10.0.0.77")], ["first"])
