"""
One contest on a shared bottleneck: a tunnel's stream alone, then beside somebody else's, then alone again.

    |  ALONE  |  BESIDE, of which the last COUNTED seconds count  |  AGAIN  |

In a `late` case it is the other who is alone first. An echo through the tunnel runs at the end of the first two.
Rates are told as the share of the bottleneck that they take, headers included, so that a tunnel's overhead is not
mistaken for good manners.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from morphnet.lab.box import Box
from morphnet.lab.rivals import Contender, Ways, open_tunnel
from morphnet.lab.topologies import FAR, SERVER, shared
from morphnet.lab.vpn import Vpn, json_lines, last_line
from tests.bench.cases import Case

EVERY = 0.25  # seconds of one value
ALONE, BESIDE_FOR, AGAIN = 8.0, 12.0, 10.0  # seconds
COUNTED = 8.0  # seconds at the end of the second phase
SETTLED = 4.0  # seconds at the end of the first
SOME = round(1.0 / EVERY)  # values that are smoothed over: less is a sawtooth
ECHO_EVERY, GRACE = 0.05, 1.0  # seconds; of the latter none is sent any more
LOST = 9999.0  # ms, told when no echo came back
PORT, PORT_BESIDE = 5001, 5002
# payload of a packet of TCP, and what the packet takes of the wire; timestamps on
EFFICIENCY = {"bare cable": 1448 / 1500, "wireguard-go": 1368 / 1480, "OpenVPN": 1448 / 1553, "morphnet": 1348 / 1468}


class Stream:
    """
    TCP between two nodes, as two programs; who takes tells its rate.

    :param ends: nodes of who connects and of who listens, and the address of the latter.
    """

    def __init__(self, box: Box, ends: tuple[str, str, str], port: int, direction: str, words: Sequence[str]) -> None:
        self._box, self._ends, self._port = box, ends, port
        self._down, self._words = direction == "down", (*words, "--every", str(EVERY))
        self._told = list[tuple[float, float]]()  # when it ended, and Mbit/s in that time
        self._serving = self._tool(ends[1], "serve", "give" if self._down else "take", str(port))
        assert self._serving.stdout is not None
        self._serving.stdout.readline()  # it listens
        self._connecting: subprocess.Popen[str] | None = None

    def _tool(self, node: str, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "morphnet.lab.streams", *words, *self._words]
        started: subprocess.Popen[str] = self._box.node(node).popen(command, stdout=subprocess.PIPE, text=True)
        return started

    def start(self, streams: int) -> None:
        """Connect, so many times."""
        kind, host = "take" if self._down else "give", self._ends[2]
        self._connecting = self._tool(self._ends[0], "connect", kind, str(self._port), host, "--streams", str(streams))
        taking = self._connecting if self._down else self._serving
        threading.Thread(target=self._listen, args=(taking,), daemon=True).start()

    def _listen(self, taking: subprocess.Popen[str]) -> None:
        for line in json_lines(taking):
            self._told.append((line["at"], line["mbit_s"]))

    def stop(self) -> None:
        """End it; what was under way is answered by a reset."""
        for process in (self._connecting, self._serving):
            if process is not None:
                process.kill()
        for process in (self._connecting, self._serving):
            if process is not None:
                process.wait()

    def rates(self, begun: float, seconds: float) -> list[float]:
        """Mbit/s in each EVERY seconds since `begun` on the monotonic clock; nothing while it did not run."""
        values, told = list[float](), list(self._told)
        for number in range(round(seconds / EVERY)):
            first, last = begun + number * EVERY, begun + (number + 1) * EVERY
            moved = sum(rate * max(0.0, min(at, last) - max(at - EVERY, first)) for at, rate in told)
            values.append(moved / EVERY)
        return values


@dataclass
class Outcome:
    """What was seen; rates are shares of the bottleneck, 0 .. 1, in each EVERY seconds."""

    case: Case
    contender: str
    ours: list[float]
    theirs: list[float]
    echoes: list[float] = field(default_factory=list)  # ms, the 95th percentile: first phase, second phase
    lost: float = 0.0  # share of the packets that the bottleneck dropped while both ran
    wire: dict[str, float] = field(default_factory=dict)  # processors that the wire took, and seconds it was late

    @property
    def fair(self) -> float:
        """The share that is ours if each stream gets the same; a tunnel counts as one."""
        return 1 / (self.case.beside + 1)

    @property
    def alone(self) -> float:
        """Our share of the bottleneck while nobody else was there."""
        ends = ALONE + BESIDE_FOR + AGAIN if self.case.late else ALONE
        return _mean(self.ours, ends - SETTLED, ends)

    @property
    def beside(self) -> float:
        """Of our fair share, with somebody else there: 1 is fair."""
        return _mean(self.ours, *self._counted) / self.fair

    @property
    def left(self) -> float:
        """What the others have, of their fair share."""
        return _mean(self.theirs, *self._counted) / (1 - self.fair)

    @property
    def _counted(self) -> tuple[float, float]:
        return ALONE + BESIDE_FOR - COUNTED, ALONE + BESIDE_FOR

    @property
    def reached(self) -> float | None:
        """Seconds until we had 0.8 of our fair share, and kept it on the whole; None: never."""
        part = self.ours[_at(ALONE) : _at(ALONE + BESIDE_FOR)]
        for number in range(len(part) - 2 * SOME):
            enough = 0.8 * self.fair
            if fmean(part[number : number + 2 * SOME]) >= enough and fmean(part[number:]) >= enough:
                return number * EVERY
        return None

    @property
    def recovered(self) -> float | None:
        """Seconds from the others' end until 90 % of what we had alone was ours again; None: never."""
        part = self.ours[_at(ALONE + BESIDE_FOR) :]
        for number in range(len(part) - SOME + 1):
            if fmean(part[number : number + SOME]) >= 0.9 * self.alone:
                return number * EVERY
        return None


def _at(seconds: float) -> int:
    return round(seconds / EVERY)


def _mean(values: Sequence[float], begin: float, end: float) -> float:
    return fmean(values[_at(begin) : _at(end)] or [0.0])


def contest(case: Case, contender: Contender) -> Outcome:
    """
    Run it in a box of its own.

    :raises NotInTime: the tunnel does not come up.
    """
    with Box(shared(case.way())) as box, open_tunnel(contender, box) as ways:
        return _run(box, ways, case, contender.name)


def _run(box: Box, ways: Ways, case: Case, contender: str) -> Outcome:
    wire, side = box.wire("shared"), "back" if case.direction == "down" else "there"
    mine = Stream(box, ("client", "server", ways.server), PORT, case.direction, ("--congestion", "cubic"))
    other = _other(box, ways, case)
    both = ((mine, case.streams), (other, case.beside))
    first, second = reversed(both) if case.late else both
    begun, used = time.monotonic(), wire.load()["processor"]
    first[0].start(first[1])
    echoes = [_echo(box, ways, begun + ALONE)]
    before = wire.counters()[side]
    second[0].start(second[1])
    echoes.append(_echo(box, ways, begun + ALONE + BESIDE_FOR))
    after = wire.counters()[side]
    other.stop()
    seconds = ALONE + BESIDE_FOR + AGAIN
    _until(begun + seconds)
    load = wire.load()
    _until(begun + seconds + 2 * EVERY)  # until the last of it is told
    mine.stop()
    ours = _shares(mine.rates(begun, seconds), case, EFFICIENCY[contender])
    theirs = _shares(other.rates(begun, seconds), case, EFFICIENCY["morphnet" if case.tunnels else "bare cable"])
    busy = {"processors": round((load["processor"] - used) / seconds, 2), "late": round(load["late_most"], 4)}
    return Outcome(case, contender, ours, theirs, echoes, _lost(before, after), busy)


def _echo(box: Box, ways: Ways, ends: float) -> float:
    """Echoes through the tunnel in the last SETTLED seconds before a moment: their 95th percentile in ms."""
    _until(ends - SETTLED)
    words = [ways.server, "--interval", str(ECHO_EVERY), "--seconds", str(SETTLED - GRACE), "--grace", str(GRACE / 2)]
    command = [sys.executable, "-m", "morphnet.lab.ping", *words]
    echo = box.node("client").popen(command, stdout=subprocess.PIPE, text=True)
    _until(ends)
    return round(float(last_line(echo, 10.0)["rtt_ms"].get("p95", LOST)), 1)


def _other(box: Box, ways: Ways, case: Case) -> Stream:
    """Somebody else's streams, not yet connected: plain ones, or in another client's tunnel to the same server."""
    if not case.tunnels:
        words = ("--congestion", case.congestion)
        return Stream(box, ("beside", "far", FAR), PORT_BESIDE, case.direction, words)
    routes = [f"{ways.server.rpartition('.')[0]}.0/24"]
    Vpn(box, SERVER).join("beside", "desktop", {"uplinks": ["wan0"], "routes": routes})
    return Stream(box, ("beside", "server", ways.server), PORT_BESIDE, case.direction, ("--congestion", "cubic"))


def _shares(rates: Sequence[float], case: Case, efficiency: float) -> list[float]:
    return [rate / efficiency / case.rate for rate in rates]


def _lost(before: dict[str, Any], after: dict[str, Any]) -> float:
    dropped = sum(after[name] - before[name] for name in ("dropped_queue", "dropped_codel"))
    passed = after["packets"] - before["packets"]
    return dropped / (dropped + passed) if dropped else 0.0


def _until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
