"""How often somebody may try."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.home.guesses import MOST, Rates, four_bytes, network_of


class RateTests(SynchronousTestCase):
    def test_burst(self) -> None:
        """So many at once, then one whenever there is one again; others are not affected."""
        rates = Rates(5, 0.1)
        for _ in range(5):
            self.assertEqual(rates.wait("a", 0.0), 0)
            rates.spend("a", 0.0)
        self.assertEqual((rates.wait("a", 0.0), rates.wait("b", 0.0)), (10, 0))
        self.assertEqual((rates.wait("a", 4.0), rates.wait("a", 10.0)), (6, 0))

    def test_day(self) -> None:
        """Whoever tries all day has no more tries than come back."""
        rates, tries = Rates(5, 0.1), 0
        for now in range(86400):
            if not rates.wait("a", now):
                rates.spend("a", now)
                tries += 1
        self.assertEqual(tries, 8644)

    def test_table_has_an_end(self) -> None:
        """Whoever has spent most is remembered longest."""
        rates = Rates(5, 0.001)
        for _ in range(5):
            rates.spend("worst", 0.0)
        for number in range(3 * MOST):
            rates.spend(str(number), 0.0)
        self.assertLessEqual(len(rates._buckets), MOST)
        self.assertGreater(rates.wait("worst", 0.0), 0)

    def test_networks(self) -> None:
        """A household has one bucket."""
        self.assertEqual(network_of("192.0.2.1"), "192.0.2.1")
        self.assertEqual(network_of("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(network_of("2001:db8::1"), network_of("2001:db8::2:3%eth0"))
        for odd in ("nobody", "192.0.2.01", "192.0.2.256", "192.0.2.-1", "192.0.2. 1", "192.0.2"):
            self.assertEqual((network_of(odd), four_bytes(odd)), (odd, None))
        self.assertEqual(four_bytes("192.0.2.1"), bytes([192, 0, 2, 1]))
