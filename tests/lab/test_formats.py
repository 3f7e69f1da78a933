"""Both ends speak the format that both know."""

from __future__ import annotations

from morphnet.lab.topologies import two_uplinks
from morphnet.wire.formats import COMPACT, SEED, Format
from tests.lab.case import DELAYS, LabCase, Plan, rest

INNER = 1400  # bytes


class CompactTests(LabCase):
    """What two ends speak that were told nothing."""

    rootless = False  # nothing of it depends on who one is

    plan = Plan(topology=lambda: two_uplinks(DELAYS, (50e6, 50e6)))
    spoken: Format = COMPACT

    def test_spoken(self) -> None:
        """A transfer is whole, and the largest datagram is an inner packet with what the format adds."""
        fetch = self.fetch()
        rest(1.0)
        self.unbroken(fetch.end())
        largest = INNER + self.spoken.overhead

        def holds() -> bool:
            ends = (self.client, self.server)
            return all({path["mtu"] for path in end.paths().values()} == {largest} for end in ends)

        self.until(f"every path carries {largest} bytes", holds)
        self.assertEqual({end.session()["counters"].get("forged", 0) for end in (self.client, self.server)}, {0})


class SeedClientTests(CompactTests):
    """A client that speaks only the seed's, as one of an earlier version does."""

    plan = Plan(CompactTests.plan.topology, client=(("framing", "seed"),))
    spoken = SEED


class SeedServerTests(CompactTests):
    """A server that was told to."""

    plan = Plan(CompactTests.plan.topology, settings=(("framing", "seed"),), client=(("framing", "compact"),))
    spoken = SEED
