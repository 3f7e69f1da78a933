"""Rules of others, as the kernel tells them."""

from __future__ import annotations

import struct
from socket import AF_INET

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.facts import MAIN, PROTOCOL, ROUTE
from morphnet.host.netlink import attribute
from morphnet.host.overruled import is_overruled, overruled
from tests.host.fake_kernel import FakeKernel

FIRST = 32700


def told(preference: int, table: int, protocol: int = 3, action: int = 1) -> bytes:
    """As the kernel does; a table beyond 255 is in an attribute alone."""
    head = ROUTE.pack(AF_INET, 0, 0, 0, table if table < 256 else 252, 0, 0, action, 0)
    numbers = attribute(6, struct.pack("=I", preference)) + attribute(15, struct.pack("=I", table))
    return head + numbers + attribute(21, bytes([protocol]))


class OverruledTests(SynchronousTestCase):
    def test_vpn(self) -> None:
        """What wg-quick adds to a machine without other rules is behind ours; what it adds after us is not."""
        self.assertTrue(is_overruled([told(0, 255), told(32764, MAIN), told(32765, 51820), told(32766, MAIN)], FIRST))
        self.assertFalse(is_overruled([told(7299, 51820), told(32766, MAIN), told(32767, 253)], FIRST))

    def test_which(self) -> None:
        """Ours, those that lead to the main table, and those that do nothing are no matter; a refusal is."""
        self.assertFalse(is_overruled([told(FIRST + 1, 7300, PROTOCOL), told(32765, MAIN)], FIRST))
        self.assertFalse(is_overruled([told(32765, 51820, action=3)], FIRST))
        self.assertTrue(is_overruled([told(32765, 0, action=7)], FIRST))

    def test_none(self) -> None:
        """A kernel that tells of no rules has none."""
        self.assertEqual(overruled(FakeKernel(), FIRST), frozenset())

    @given(st.binary(max_size=60))
    def test_garbage(self, data: bytes) -> None:
        """What is torn is no rule that we could heed."""
        self.assertIn(is_overruled([data, told(32765, 51820)[: len(data)]], FIRST), (True, False))
