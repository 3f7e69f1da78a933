"""
What several uplinks are worth, in short; figures B1 to B5, B7, B8 (bench_multipath has them in full).

Loads are compared with each other in one run wherever that says it, because machines are noisy; the shares of the
ceiling asked for here are lower than what the benchmarks ask for.
"""

from __future__ import annotations

import time
from statistics import fmean, median
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.streams import EVERY
from morphnet.lab.topologies import Uplink
from tests.bench.arrivals import kept_back
from tests.lab.bonded import DIRECTIONS, TCP_PAYLOAD, UDP_PAYLOAD, Bonded, after, ceiling
from tests.lab.scene import NOT_HERE

MBIT = 1e6
START = 1.5  # seconds of each load that are not counted
BOUND = 0.050  # seconds: the default of `reorder_ms`
LATE = 0.010  # seconds that a loaded machine may take to wake a process up


class BondTests(SynchronousTestCase):
    """On one tunnel over two uplinks; each test puts the wires back as it found them."""

    skip = NOT_HERE
    rootless = False  # nothing of it depends on who one is
    alone = True
    tunnel: ClassVar[Bonded]
    rates: ClassVar[list[float]] = [10 * MBIT, 10 * MBIT]
    left: ClassVar[int] = 0  # tests that still want the tunnel; trial knows no setUpClass

    def setUp(self) -> None:
        cls = type(self)
        if not cls.left:
            cls.tunnel = Bonded([Uplink.like(0.010, cls.rates[0]), Uplink.like(0.030, cls.rates[1])]).__enter__()
            cls.left = sum(name.startswith("test_") for name in dir(cls))
        self.addCleanup(self.leave)

    def leave(self) -> None:
        """The last one out takes the box down; when only some are run, it goes with the process."""
        cls = type(self)
        cls.left -= 1
        if not cls.left:
            cls.tunnel.__exit__(None, None, None)

    def both(self) -> None:
        """Both uplinks are there and sound."""
        for number in range(2):
            wire = self.tunnel.box.wire(f"wan{number}")
            wire.both(rate=self.rates[number], loss=0.0, jitter=0.0, mtu=None)
            wire.plug()
        self.tunnel.wait_active(2)

    def test_udp(self) -> None:
        """B1: an overload of UDP gets most of what both can carry, either way."""
        self.both()
        most = ceiling(self.rates, UDP_PAYLOAD)
        for direction in DIRECTIONS:
            told, _ = self.tunnel.udp(direction, 4.0, 1.3 * most * MBIT)
            self.assertGreater(after(told, START) / most, 0.85, (direction, told))

    def test_tcp(self) -> None:
        """B1, B8: four TCP flows, and even one alone, get more than one uplink could carry."""
        self.both()
        one = ceiling(self.rates[:1], TCP_PAYLOAD)
        for streams, wanted in ((4, 1.5), (1, 1.1)):
            told = self.tunnel.tcp("down", 6.0, streams)
            self.assertGreater(after(told, 2.0) / one, wanted, (streams, told))

    def test_jitter(self) -> None:
        """B4: where one uplink jitters, packets are kept back no longer than the bound to put them in order."""
        self.both()
        self.tunnel.box.wire("wan1").both(jitter=0.150)
        held = kept_back(self.tunnel, 3.0, 8 * MBIT)
        self.assertGreater(len(held), 2000)
        self.assertLess(held[len(held) * 99 // 100], BOUND + LATE)

    def test_rate_falls(self) -> None:
        """B5: when the rate of an uplink falls to a quarter, its queue is soon short and the rate known."""
        self.both()
        wire, queues = self.tunnel.box.wire("wan0"), list[float]()

        def watch(at: float) -> None:
            if at == 2.0:
                wire.both(rate=2.5 * MBIT, queue_ms=1000)
            elif at > 5.0:
                queues.append(wire.counters()["back"]["queue_delay_last"])

        self.tunnel.tcp("down", 8.0, 2, watch=watch)
        paths = {path["path"]: path["rate"] for path in self.tunnel.server.session()["paths"]}
        known = paths[self.tunnel.client.paths()["wan0"]["path"]]
        wire.both(queue_ms=None)
        self.assertLess(median(queues), 0.150, queues)
        self.assertApproximates(known * 8 / (2.5 * MBIT), 1.0, 0.3)

    def test_narrow(self) -> None:
        """B7: when an uplink begins to swallow what is larger than 1280 bytes, TCP never stands still for long."""
        self.both()
        wire = self.tunnel.box.wire("wan0")

        def watch(at: float) -> None:
            if at == 3.0:
                wire.both(mtu=1280)

        told = self.tunnel.tcp("down", 10.0, 4, watch=watch)
        cut = round(3.0 / EVERY)
        clean, narrowed = fmean(told[cut - 3 : cut]), fmean(told[-round(2.0 / EVERY) :])
        self.assertGreater(min(told[cut:]), 0.0, told)
        self.assertGreater(narrowed / clean, 0.75, told)


class LossyTests(SynchronousTestCase):
    skip = NOT_HERE
    rootless = False
    alone = True

    def test_half_lost(self) -> None:
        """A third uplink that loses every other packet does not take half from the two good ones; B3 asks for more."""
        ways = [Uplink.like(0.010, 10 * MBIT), Uplink.like(0.020, 10 * MBIT), Uplink.like(0.015, 10 * MBIT)]
        with Bonded(ways) as tunnel:
            bad = tunnel.box.wire("wan2")
            bad.unplug()
            tunnel.wait_active(2)
            alone = after(tunnel.tcp("down", 4.0, 4), START)
            bad.plug()
            tunnel.wait_active(3)
            bad.both(loss=0.5)
            time.sleep(0.5)
            together = after(tunnel.tcp("down", 6.0, 4), START)
        self.assertGreater(together / alone, 0.5, (together, alone))
