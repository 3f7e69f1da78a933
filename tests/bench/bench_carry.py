"""
What it costs Debian's wireguard-go to be carried: throughput beside bare wireguard-go, and over two uplinks.

    python -m tests.bench.bench_carry [path uplinks rekey] [--rounds 3] [--seconds 4] [--rate 20]

`path` is one cable as fast as the machine, both tunnels in turn: what it costs of a processor. `uplinks` is links of 20
Mbit/s, or as many as are asked for (RTT 20 and 30 ms): one, and both beside the sum of what the bare one gets on each.
`rekey` counts the handshakes of WireGuard, which makes one every 120 s, in 150 s of echoes: bare on one link that is
left alone, and carried by two that are cut, swallow everything, change their address and forget their NAT in turn,
while morph-server is started anew. It is only run when it is asked for.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean

from morphnet.config.wgquick import OVERHEAD
from morphnet.lab.box import Box
from morphnet.lab.enter import why_not
from morphnet.lab.race import COST_DOWN, DOWN, ECHO, UP, Case, race
from morphnet.lab.rivals import Contender, Ways, contenders
from morphnet.lab.topologies import SERVER, Route, Uplink
from morphnet.lab.vpn import Vpn, wait_for
from tests.bench.measured import CANNOT, Measured, enter_lab, middle, tell
from tests.lab.bonded import DIRECTIONS, Bonded
from tests.lab.wireguard import INNER, MTU, WireGuard, lacking

LISTEN, SERVICE = 51821, 51820  # UDP ports
WRAPPED_MTU = 1500 - OVERHEAD  # as `morphnet wrap` has it
BARE, CARRIED, FULL = "wireguard-go", "wireguard-go, carried", f"wireguard-go, carried, MTU {MTU}"
WANTED = 0.9  # of bare wireguard-go
RATE = 20.0  # Mbit/s of a link
WATCHED = 150.0  # seconds: REKEY_AFTER_TIME is 120
SHAKEN_EVERY = 12.0  # seconds
IN_HAND = 2  # echoes: what a restart of the server may cost
Options = argparse.Namespace


def carry(box: Box, mtu: int, **more: object) -> tuple[Vpn, WireGuard, WireGuard]:
    """A client and a server of ours that carry, and WireGuard at both ends. `more` is of the client's settings."""
    vpn = Vpn(box, SERVER, {"carry_services": f"wireguard=127.0.0.1:{SERVICE}"})
    shutil.rmtree(vpn.server.dir, ignore_errors=True)
    shutil.rmtree(Path(box.node("client").dir) / "laptop", ignore_errors=True)
    (Path(vpn.server.node.dir) / "laptop.invite").unlink(missing_ok=True)
    vpn.found()
    vpn.join(settings={"tun": "", "carry": f"127.0.0.1:{LISTEN}=wireguard", **more})
    return vpn, *wireguards(box, mtu, f"127.0.0.1:{LISTEN}")


def wireguards(box: Box, mtu: int, endpoint: str) -> tuple[WireGuard, WireGuard]:
    """Both ends, which know one another."""
    here, there = (WireGuard(box.node(name), name) for name in INNER)
    there.listen(SERVICE)
    there.meet(here)
    here.meet(there, "endpoint", endpoint)
    for name, inner in INNER.items():
        box.change(name, [("up", "wg0", mtu), ("add_address", "wg0", f"{inner}/24")])
    words = [sys.executable, "-m", "morphnet.lab.ping", INNER["server"], "--count", "1"]
    wait_for("WireGuard carries", lambda: '"received": 1' in box.node("client").run(words).stdout)
    return here, there


def carried(mtu: int) -> Callable[[Box], Ways]:
    """For `race`."""

    def up(box: Box) -> Ways:
        vpn, *_ = carry(box, mtu, uplinks=["wan0"])
        return Ways(INNER["client"], INNER["server"], (vpn.clients[0].pid(), vpn.server.pid()))

    return up


def path(options: Options) -> Iterator[Measured]:
    """One cable."""
    bare = next(each for each in contenders() if each.name == BARE)
    runs = [bare, Contender(CARRIED, bare.programs, bare.package, carried(WRAPPED_MTU)),
            Contender(FULL, bare.programs, bare.package, carried(MTU))]  # fmt: skip
    found = defaultdict[tuple[Case, str], list[float]](list)
    for reading in race(runs, ["bulk", "echo"], rounds=options.rounds, seconds=options.seconds):
        found[reading.case, reading.contender].append(reading.value)
        print(f"{reading.contender}, {reading.case.name}: {reading.value:.3f} {reading.case.unit}", file=sys.stderr)
    for case in (DOWN, UP, COST_DOWN, ECHO):
        theirs = found[case, BARE]
        for name in (CARRIED, FULL):
            told = tuple(round(each, 3) for each in found[case, name])
            value, beside = middle(found[case, name], 3), middle(theirs, 3)
            yield Measured("carry", f"{name}: {case.name}", value, case.unit, None, case.better, BARE, beside, told)


class Bare(Bonded):
    """wireguard-go alone, on one link."""

    def _connect(self) -> None:
        self.here, _ = wireguards(self.box, MTU, f"{SERVER}:{SERVICE}")
        self.inner_client = INNER["client"]


class Carried(Bonded):
    """wireguard-go over all of them."""

    def _connect(self) -> None:
        vpn, self.here, _ = carry(self.box, WRAPPED_MTU)
        self.server, self.client = vpn.server, vpn.clients[0]
        self.wait_active(self.count)
        self.inner_client = INNER["client"]


def _links(rate: float) -> list[Uplink]:
    return [Uplink.like(delay, rate * 1e6) for delay in (0.010, 0.015)]


def _goodput(tunnel: Bonded, direction: str, seconds: float) -> float:
    """Mbit/s of four TCP flows, in the second half."""
    told = tunnel.streams(direction, seconds, 4, INNER["server"])
    return fmean(told[len(told) // 2 :] or [0.0])


def uplinks(options: Options) -> Iterator[Measured]:
    """One link, and two beside the sum of what each gives the bare one."""
    seconds = max(10.0, options.seconds)
    alone = {direction: list[float]() for direction in DIRECTIONS}
    for link in _links(options.rate):
        with Bare([link]) as tunnel:
            for direction in DIRECTIONS:
                alone[direction].append(_goodput(tunnel, direction, seconds))
    for count, name in ((1, "one uplink"), (2, "two uplinks")):
        with Carried(_links(options.rate)[:count]) as tunnel:
            for direction in DIRECTIONS:
                value, beside = _goodput(tunnel, direction, seconds), sum(alone[direction][:count])
                case = f"{CARRIED}: 4 TCP {direction}, {name} of {options.rate:g}"
                wanted = round(WANTED * beside, 1)
                rival = BARE if count == 1 else f"{BARE}, sum of both"
                yield Measured("carry", case, round(value, 1), "Mbit/s", wanted, "more", rival, round(beside, 1))


def shaken(tunnel: Carried) -> Iterator[None]:
    """One thing after another happens to it, for ever."""
    box = tunnel.box
    for turn in itertools.count():
        wire = f"wan{turn % 2}"
        box.link_down("client", wire)
        yield
        box.link_up("client", wire)
        tunnel.wait_active(2)
        box.remap_nat(f"nat{turn % 2}")
        yield
        box.wire(wire).black_hole()
        yield
        box.wire(wire).heal()
        tunnel.wait_active(2)
        was, now = (f"192.168.1.{each}/24" for each in ((2, 77) if turn % 2 == 0 else (77, 2)))
        box.address("client", "wan0", remove=[was])
        box.address("client", "wan0", add=[now])
        box.route("client", add=[Route("default", "192.168.1.1", "wan0", 100)])
        yield
        tunnel.server.stop()
        tunnel.server.start()
        yield


def handshakes(tunnel: Bare | Carried, events: Iterator[None]) -> tuple[int, int, int]:
    """In WATCHED seconds: handshakes of WireGuard, the first included; things that happened; echoes lost."""
    ping = tunnel.tool("client", "morphnet.lab.ping", INNER["server"], "--seconds", str(WATCHED + 30))
    begun, happened, seen = time.monotonic(), 0, set[int]()
    while (now := time.monotonic() - begun) < WATCHED:
        seen.add(tunnel.here.handshake_at())
        if now > SHAKEN_EVERY * (happened + 1) and next(events, False) is None:
            happened += 1
        time.sleep(0.5)
    ping.terminate()
    said, _ = ping.communicate(timeout=10)
    return len(seen - {0}), happened, int(said.rpartition('"lost": ')[2].partition(",")[0])


def rekey(options: Options) -> Iterator[Measured]:
    """Its handshakes, whatever happens to the links."""
    bare, tunnel = Bare(_links(RATE)[:1]), Carried(_links(RATE))
    with bare, tunnel, ThreadPoolExecutor(1) as beside:
        undisturbed = beside.submit(handshakes, bare, iter(()))
        count, happened, lost = handshakes(tunnel, shaken(tunnel))
        alone, *_ = undisturbed.result()
    case = f"handshakes of WireGuard in {WATCHED:g} s, carried, while {happened} things happen"
    yield Measured("A9", case, count, "", alone, "less", BARE, alone)
    yield Measured("A9", "echoes lost meanwhile", lost, "echoes", IN_HAND * -(-happened // 5), "less")


RUNS = {"path": path, "uplinks": uplinks, "rekey": rekey}


def main() -> int:
    """Run what was asked for; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_carry")
    parser.add_argument("names", nargs="*", metavar="WHAT", help=", ".join(RUNS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load of TCP")
    parser.add_argument("--rate", type=float, default=RATE, help="Mbit/s of each link of `uplinks`")
    options = parser.parse_args()
    unfit = why_not() or lacking("wireguard-go", "wg")
    if unfit:
        print(f"bench_carry: {unfit}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_carry")
    broken = 0
    for name in options.names or ["path", "uplinks"]:
        for line in RUNS[name](options):
            tell(line)
            broken += line.kept is False
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
