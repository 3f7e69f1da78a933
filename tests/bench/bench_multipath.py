"""
What several uplinks are worth: figures B1 to B5, B7 and B8; bench_unequal has more pairs of them.

    python -m tests.bench.bench_multipath [B1 B2 ...] [--seconds 20] [--congestion cubic]

Real `twistd` processes in a box; goodput is counted where it arrives, in the second half of each load, as a share of
the ceiling (tests/lab/bonded.py has the arithmetic). How long one TCP flow takes to get there is told beside it. Kernel
MPTCP runs in turn over the same wires.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import fmean, quantiles
from threading import Event, Thread

from morphnet.lab.enter import why_not
from morphnet.lab.streams import EVERY
from morphnet.lab.topologies import Uplink, Way
from tests.bench import mptcp
from tests.bench.arrivals import kept_back
from tests.bench.measured import CANNOT, Measured, enter_lab, tell
from tests.lab.bonded import DIRECTIONS, TCP_PAYLOAD, UDP_PAYLOAD, Bonded, ceiling

START = 2.0  # seconds of a load that are not counted in B7
OVERLOAD = 1.3  # of the ceiling, for UDP
WANTED = {"UDP": 95.0, "4 TCP": 95.0, "1 TCP": 85.0}  # % of the ceiling
BOUND = 50.0  # ms: the default of `reorder_ms`
DEEP = {"queue_ms": 1000}  # a queue in the wire that hides nothing
MBIT = 1e6
Options = argparse.Namespace


def _steady(told: Sequence[float]) -> float:
    """The mean of the second half: an inner TCP has found its rate then."""
    return fmean(told[len(told) // 2 :] or [0.0])


def _ramp(told: Sequence[float], least: float) -> float:
    """Seconds until a load first had that rate (Mbit/s)."""
    return EVERY * next((place + 1 for place, rate in enumerate(told) if rate >= least), len(told))


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def _shares(figure: str, ways: Sequence[Uplink], options: Options) -> Iterator[Measured]:
    """UDP, 4 TCP, 1 TCP; down and up; MPTCP beside TCP."""
    rates = [way.there.rate or 0.0 for way in ways]
    unfit = mptcp.absent()
    if unfit is not None:
        print(f"bench_multipath: without MPTCP: {unfit}", file=sys.stderr)
    with Bonded(ways, congestion=options.congestion) as tunnel:
        if unfit is None:
            mptcp.prepare(tunnel)
        for direction in DIRECTIONS:
            most = ceiling(rates, UDP_PAYLOAD)
            told, _ = tunnel.udp(direction, options.seconds, OVERLOAD * most * MBIT)
            yield Measured(figure, f"UDP {direction}", _percent(_steady(told), most), "%", WANTED["UDP"])
            for streams in (4, 1):
                case, rival = f"{streams} TCP", None
                got = tunnel.tcp(direction, options.seconds, streams)
                if unfit is None:
                    theirs = mptcp.measure(tunnel, direction, options.seconds, streams)
                    rival = _percent(_steady(theirs), sum(rates) / MBIT * mptcp.SHARE)
                most = ceiling(rates, TCP_PAYLOAD)
                share = _percent(_steady(got), most)
                measured = Measured(figure, f"{case} {direction}", share, "%", WANTED[case])
                yield replace(measured, rival="MPTCP" if rival else "", rival_value=rival)
                if streams == 1:
                    yield Measured(figure, f"1 TCP {direction}, 85 % after", _ramp(got, 0.85 * most), "s")


def b1(options: Options) -> Iterator[Measured]:
    """2 links of 20 Mbit/s with RTTs of 20 and 60 ms."""
    return _shares("B1", [Uplink.like(0.010, 20 * MBIT), Uplink.like(0.030, 20 * MBIT)], options)


def b2(options: Options) -> Iterator[Measured]:
    """Rates of 1:4."""
    return _shares("B2", [Uplink.like(0.010, 10 * MBIT), Uplink.like(0.030, 40 * MBIT)], options)


def b3(options: Options) -> Iterator[Measured]:
    """3 links, one at 50 % loss: against the good two alone."""
    ways = [Uplink.like(0.010, 20 * MBIT), Uplink.like(0.020, 20 * MBIT), Uplink.like(0.015, 20 * MBIT)]
    with Bonded(ways, congestion=options.congestion) as tunnel:
        bad = tunnel.box.wire("wan2")
        for streams in (4, 1):
            bad.unplug()
            tunnel.wait_active(2)
            alone = _steady(tunnel.tcp("down", options.seconds, streams))
            bad.both(loss=0.0)
            bad.plug()
            tunnel.wait_active(3)
            bad.both(loss=0.5)
            together = _steady(tunnel.tcp("down", options.seconds, streams))
            measured = Measured("B3", f"{streams} TCP down", _percent(together, alone), "% of the good two", 90.0)
            yield measured
            bad.both(loss=0.0)
            tunnel.wait_active(3)


def b4(options: Options) -> Iterator[Measured]:
    """Jitter on one link: how long packets are kept back to put them in order."""
    with Bonded([Uplink.like(0.010, 20 * MBIT), Uplink.like(0.010, 20 * MBIT)]) as tunnel:
        for jitter in (0.005, 0.050, 0.150):
            tunnel.box.wire("wan1").both(jitter=jitter)
            time.sleep(1)
            held = kept_back(tunnel, options.seconds, 16 * MBIT)
            p99 = round(1000 * held[len(held) * 99 // 100], 1)
            yield Measured("B4", f"p99, jitter {jitter * 1000:.0f} ms", p99, "ms", BOUND, "less")


def b5(options: Options) -> Iterator[Measured]:
    """The rate of one link falls from 20 to 5 Mbit/s, under 4 TCP down; its queue would hold a second."""
    way = Way(0.010, 20 * MBIT, more=DEEP)
    with Bonded([Uplink(way, way), Uplink.like(0.030, 20 * MBIT)], congestion=options.congestion) as tunnel:
        load = Thread(target=tunnel.tcp, args=("down", options.seconds + 12, 4), daemon=True)
        load.start()
        time.sleep(options.seconds)
        wire = tunnel.box.wire("wan0")
        wire.both(rate=5 * MBIT)
        begun, rates, queues = time.monotonic(), [], []
        expected = 5 * MBIT / 8 * (1466 / 1494)  # bytes of UDP payload
        ids = [path["path"] for path in tunnel.client.session()["paths"] if path["uplink"] == "wan0"]
        while (at := time.monotonic() - begun) < 11.5:
            told = next(path["rate"] for path in tunnel.server.session()["paths"] if path["path"] == ids[0])
            rates.append((at, abs(told / expected - 1)))
            queues.append((at, 1000 * wire.counters()["back"]["queue_delay_last"]))
            time.sleep(0.05)
        load.join()
    settled = max((at for at, off in rates if off > 0.2), default=0.0)
    yield Measured("B5", "estimator within 20 % after", round(settled, 2), "s", 10.0, "less")
    late = [queue for at, queue in queues if at > 2]
    yield Measured("B5", "queue p95, from 2 s on", round(quantiles(late, n=20)[-1], 1), "ms", 100.0, "less")
    high = max((at for at, queue in queues if queue > 100), default=0.0)
    yield Measured("B5", "queue last above 100 ms at", round(high, 2), "s")


def b7(options: Options) -> Iterator[Measured]:
    """One path silently drops what is larger than 1280 bytes, from a moment on."""
    for streams in (4, 1):
        with Bonded([Uplink.like(0.010, 20 * MBIT), Uplink.like(0.020, 20 * MBIT)]) as tunnel:
            wire, narrowed = tunnel.box.wire("wan0"), Event()

            def narrow(at: float, wire: object = wire, narrowed: Event = narrowed) -> None:
                if at >= START + 5 and not narrowed.is_set():
                    narrowed.set()
                    wire.both(mtu=1280)  # type: ignore[attr-defined]

            told = tunnel.tcp("down", START + 15, streams, watch=narrow)
            cut = round((START + 5) / EVERY)
            clean, narrow_rate = fmean(told[round(START / EVERY) : cut]), fmean(told[cut + round(5 / EVERY) :])
            case = f"{streams} TCP down, 5 s after"
            yield Measured("B7", case, _percent(narrow_rate, clean), "% of before", 90.0)
            yield Measured("B7", f"{streams} TCP down, least 0.5 s", round(min(told[cut:]), 1), "Mbit/s")


PAIRS = {
    "20+20 Mbit/s, RTT 20+60 ms": ((0.010, 20), (0.030, 20)),
    "40+10 Mbit/s, RTT 20+60 ms": ((0.010, 40), (0.030, 10)),
    "20+2 Mbit/s, RTT 20+200 ms": ((0.010, 20), (0.100, 2)),
    "20+20 Mbit/s, RTT 20+300 ms": ((0.010, 20), (0.150, 20)),
    "5+40 Mbit/s, RTT 10+100 ms": ((0.005, 5), (0.050, 40)),
}  # the link that is better alone may be either


def b8(options: Options) -> Iterator[Measured]:
    """One TCP flow over both, against the same flow over the faster link alone."""
    for name, pair in PAIRS.items():
        ways = [Uplink.like(delay, rate * MBIT) for delay, rate in pair]
        faster = max(range(2), key=lambda number: pair[number][1])
        with Bonded(ways, congestion=options.congestion) as tunnel:
            other = tunnel.box.wire(f"wan{1 - faster}")
            other.unplug()
            tunnel.wait_active(1)
            alone = _steady(tunnel.tcp("down", options.seconds))
            other.plug()
            tunnel.wait_active(2)
            both = _steady(tunnel.tcp("down", options.seconds))
        yield Measured("B8", name, round(both / alone, 2), "x the faster link", 0.95)


BENCHES: dict[str, Callable[[Options], Iterator[Measured]]] = {
    bench.__name__.upper(): bench for bench in (b1, b2, b3, b4, b5, b7, b8)
}


def main() -> int:
    """Run what was asked for; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_multipath")
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=", ".join(BENCHES))
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parser.add_argument("--congestion", default="cubic", help="of TCP, and of MPTCP's subflows")
    options = parser.parse_args()
    if why_not():
        print(f"bench_multipath: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_multipath")
    broken = 0
    for name in options.figures or BENCHES:
        for measured in BENCHES[name](options):
            tell(measured)
            broken += measured.kept is False
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
