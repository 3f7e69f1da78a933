"""Which blocks of addresses are loud."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.blocks import LEVELS, RATES, RECENT, REMEMBERED, SCREENED, Blocks, blocks_of


def hosts(first: str, count: int) -> Iterator[str]:
    """
    As many IPv6 hosts, each in a /64 of its own, or IPv4 hosts in a /16.

    :param first: "2001:db8:f", "198.18" or "198.18.7".
    """
    for number in range(count):
        four = f"{first}.{number & 255}" if first.count(".") == 2 else f"{first}.{number % 251}.{number % 241}"
        yield f"{first}:{number:x}::1" if ":" in first else four


class BlocksOfTests(SynchronousTestCase):
    def test_levels(self) -> None:
        """From a registry's block to a host's, of either family; a mapped address is what it maps."""
        self.assertEqual([str(each) for each in blocks_of("198.51.100.7")], [
            "198.0.0.0/8", "198.51.0.0/16", "198.51.100.0/24", "198.51.100.7/32",
        ])  # fmt: skip
        self.assertEqual(blocks_of("::ffff:198.51.100.7"), blocks_of("198.51.100.7"))
        self.assertEqual([str(each) for each in blocks_of("2001:db8:1:2:3::4")], [
            "2001:d00::/24", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1:2::/64",
        ])  # fmt: skip
        self.assertEqual(blocks_of("relay.example"), ())


class LoudTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.blocks = Blocks()

    def _flood(self, first: str, rate: int, seconds: float, *, begin: float = 0.0) -> None:
        """From all of one network, each host seldom."""
        self._call(hosts(first, round(rate * seconds)), rate, begin)

    def _call(self, callers: Iterable[str], rate: int, begin: float = 0.0) -> None:
        """They call; only what is not screened gets here."""
        sent = passed = 0.0
        for number, host in enumerate(callers):
            share = 1.0
            for block in blocks_of(host):
                share *= self.blocks.screened.get(block, 1.0)
            sent += share
            if sent >= passed + 1:
                passed += 1
                self.blocks.called(host, now=begin + number / rate)
                self.blocks.screen(now=begin + number / rate)

    def _screened(self) -> list[str]:
        return [str(block) for block in self.blocks.screened]

    def test_network(self) -> None:
        """Hosts of one /48 make the /48 loud, and neither each other nor what is around them."""
        self._flood("2001:db8:f", 3000, 8.0)
        self.assertEqual(self._screened(), ["2001:db8:f::/48"])
        (share,) = self.blocks.screened.values()
        self.assertLess(share, 3 * RATES[2] / 3000)

    def test_addresses(self) -> None:
        """Addresses of one IPv4 /16 make the /16 loud."""
        self._flood("198.18", 3000, 8.0)
        self.assertEqual(self._screened(), ["198.18.0.0/16"])

    def test_one_host(self) -> None:
        """A host that calls without end is loud, its neighbours are not."""
        self._call(["198.51.100.7"] * 8000, 1000)
        self.assertEqual(self._screened(), ["198.51.100.7/32"])

    def test_stranger_to_it(self) -> None:
        """A caller from elsewhere is quieter than a loud block's, also one from next door."""
        self._flood("2001:db8:f", 3000, 1.0)
        loud = self.blocks.called("2001:db8:f:ffff::1", now=1.0)
        for host in ("203.0.113.5", "2001:db9::1", "2001:db8:e::1"):
            self.assertLess(self.blocks.called(host, now=1.0), loud)

    def test_forgotten(self) -> None:
        """When it is over nobody is screened any more, soon."""
        self._flood("198.18", 3000, 3.0)
        for second in range(4, 4 + round(6 * RECENT)):
            self.blocks.screen(now=float(second))
        self.assertEqual(self._screened(), [])
        self.assertEqual(self.blocks.called("198.18.0.1", now=1000.0), (0, 0, 0, 0))

    def test_usual(self) -> None:
        """Fifty machines of one network that come at once, after an outage, are none too many, nor ten of one house."""
        for host in [*hosts("198.18.7", 40), *["198.18.9.9"] * 10]:
            self.blocks.called(host, now=0.0)
        self.assertFalse(self.blocks.screen(now=0.1))

    def test_steady(self) -> None:
        """While a flood goes on as it is, what is screened changes seldom: each change is a call to the kernel."""
        self._flood("198.18", 3000, 4.0)
        before = self.blocks.screened
        self._flood("198.18", 3000, 2.0, begin=4.0)
        self.assertIs(self.blocks.screened, before)

    def test_bounded(self) -> None:
        """However many blocks there are, few are remembered, and fewer screened."""
        for number in range(3 * REMEMBERED):
            self.blocks.called(f"10.{number >> 8 & 255}.{number & 255}.1", now=0.0)
        self.assertLessEqual(max(len(level) for level in self.blocks._heard), REMEMBERED)
        for host in range(2 * SCREENED):
            for _ in range(round(2 * RATES[3] * RECENT)):
                self.blocks.called(f"192.0.2.{host}", now=1.0)
        self.blocks.screen(now=1.0)
        self.assertEqual(len(self.blocks.screened), SCREENED)

    def test_narrow_first(self) -> None:
        """Every level is narrower than the one before, and has a lower rate."""
        for bits in LEVELS.values():
            self.assertEqual(list(bits), sorted(bits))
        self.assertEqual(list(RATES), sorted(RATES, reverse=True))
