"""Which inner address is next."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.store.base import PoolExhausted
from morphnet.store.pool import Pool


class PoolTests(SynchronousTestCase):
    def test_server(self) -> None:
        """The first host address is the server's, and not a client's."""
        for prefix, version, server in (("10.73.0.0/24", 4, "10.73.0.1"), ("fd73::/64", 6, "fd73::1")):
            pool = Pool(prefix, version)
            self.assertEqual(pool.server, server)
            self.assertFalse(pool.holds(server))

    @given(st.integers(24, 32), st.sets(st.integers(0, 260)))
    def test_lowest(self, length: int, taken: set[int]) -> None:
        """As plain counting finds it: the first host, besides the server's, that is not taken."""
        network = ipaddress.ip_network(f"10.0.0.0/{length}")
        pool = Pool(str(network), 4)
        texts = {str(network.network_address + number) for number in taken}
        hosts = [str(each) for each in network.hosts()] if length < 32 else ["10.0.0.0"]
        free = [each for each in hosts[1:] if each not in texts]
        if free:
            self.assertEqual(pool.lowest_free(texts), free[0])
            self.assertTrue(pool.holds(free[0]))
        else:
            self.assertRaises(PoolExhausted, pool.lowest_free, texts)

    def test_large(self) -> None:
        """A /64 is not counted through."""
        taken = {str(ipaddress.IPv6Address("fd73::") + number) for number in range(2, 3000)}
        self.assertEqual(Pool("fd73::/64", 6).lowest_free(taken), "fd73::bb8")
