"""
Villages: homes behind routers, relays, and machines that meet there. Real `twistd` processes throughout; a village is
made once for the tests that want the same, and made anew after a test that failed.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.homes import Home, homes, machine
from morphnet.lab.meeting import Meeting
from morphnet.lab.vpn import Daemon, wait_for
from tests.lab.case import KEPT, NOT_HERE, Ping, Traffic

NAMES = ("anna", "bert", "carl", *(f"node{i}" for i in range(3, 20)))
PORT = 5000  # of the TCP server on every machine
SEARCH = "node.mesh.peers.addresses_changed()"


@dataclass(frozen=True)
class Place:
    """What a test wants to stand on."""

    homes: tuple[Home, ...] = (Home(), Home())
    relays: int = 1
    settings: tuple[tuple[str, object], ...] = ()  # of every machine


class Village:
    """A box with relays, and one machine in each home."""

    def __init__(self, place: Place) -> None:
        self.place, self.failed = place, False
        self.box = Box(homes(place.homes, relays=place.relays))
        self.box.start()
        self.meeting = Meeting(self.box)
        self.nodes = [machine(i, turn) for i, home in enumerate(place.homes) for turn in range(home.machines)]
        self.names = NAMES[: len(self.nodes)]
        try:
            self.meeting.found()
            for turn in range(1, place.relays):
                self.meeting.add_relay(turn)
            for node, name in zip(self.nodes, self.names, strict=True):
                self.meeting.enrol(node, name, dict(place.settings)).start(wait=False)
            for name in self.names:
                self.until_answers(name)
                self.serve(name)
        except BaseException:
            self.stop()
            raise

    def until_answers(self, name: str) -> None:
        """Wait until that machine's process runs."""
        wait_for(f"{name} answers", self.meeting.machines[name].answers)

    def serve(self, name: str) -> None:
        """A TCP server on that machine."""
        words = [sys.executable, "-m", "morphnet.lab.transfer", "serve", "--port", str(PORT)]
        serving = self.meeting.machines[name].node.popen(words, stdout=subprocess.PIPE, text=True)
        assert serving.stdout is not None
        serving.stdout.readline()
        serving.stdout.close()

    def stop(self) -> None:
        """End it all."""
        self.meeting.stop()
        self.box.stop()

    def keep_logs(self, name: str) -> str:
        """Copy what the processes said to where it stays: the directory."""
        place = KEPT / name
        place.mkdir(parents=True, exist_ok=True)
        for daemon in self.meeting.daemons():
            if daemon.log.exists():
                shutil.copy(daemon.log, place / f"{daemon.name}.log")
            with contextlib.suppress(OSError):
                told = {"status": daemon.status(), "happenings": daemon.happenings()}
                (place / f"{daemon.name}.json").write_text(json.dumps(told, indent=1))
        return str(place.resolve())


_standing: list[Village] = []  # none or one


def _clear() -> None:
    while _standing:
        _standing.pop().stop()


atexit.register(_clear)


def village_of(place: Place) -> Village:
    """The village that stands, if it is like `place` and sound, else a new one."""
    if _standing and (_standing[0].place != place or _standing[0].failed):
        _clear()
    if not _standing:
        _standing.append(Village(place))
    return _standing[0]


class VillageActions:
    """What can be done in a village, for tests and for benchmarks."""

    def use(self, village: Village) -> None:
        """Act on this one from now on."""
        self.village = village
        self.box, self.meeting = village.box, village.meeting
        self.machines, self.relay = self.meeting.machines, self.meeting.relay

    def ping(self, *words: str, of: str = "bert", at: str = "anna") -> Ping:
        """Start to ping a peer."""
        return Ping(self.machines[at].node, self.meeting.inner(of), *words)

    def fetch(self, *words: str, of: str = "bert", at: str = "anna") -> Traffic:
        """Start a TCP download from a peer."""
        where = self.meeting.inner(of), str(PORT)
        return Traffic(self.machines[at].node, "morphnet.lab.transfer", "fetch", *where, "--every", "0.5", *words)

    def console(self, name: str, words: str) -> str:
        """Ask the manhole of a machine."""
        daemon = self.machines[name]
        return daemon.morphnet("console", "--dir", str(daemon.etc), words).strip()

    def search(self, name: str = "anna") -> None:
        """Have a machine look for direct ways now, and not when its minute is over."""
        self.console(name, SEARCH)

    def be_direct(self, within: float = 10.0) -> float:
        """Seconds until everybody reaches everybody directly; asked for again and again."""

        def holds() -> bool:
            if self.all_are("direct"):
                return True
            self.search(self.village.names[0])
            return False

        return wait_for("all are direct", holds, within, every=0.5)

    def all_are(self, way: str) -> bool:
        """Whether every machine reaches every other one that way."""
        names = self.village.names
        for name in names:
            ways = {peer["name"]: peer["way"] for peer in self.machines[name].status()["peers"]}
            if any(ways.get(other) != way for other in names if other != name):
                return False
        return True

    def until(self, what: str, holds: Callable[[], bool], within: float = 20.0) -> float:
        """Seconds until it holds; nobody who answers counts as not yet."""

        def tried() -> bool:
            try:
                return holds()
            except (OSError, KeyError):
                return False

        return wait_for(what, tried, within)

    def forwarded(self, relay: Daemon | None = None) -> int:
        """Bytes that a relay has forwarded."""
        return int((relay or self.relay).status()["counters"].get("forwarded_bytes", 0))

    @contextlib.contextmanager
    def router(self, name: str, kind: str) -> Iterator[None]:
        """That router is of another kind meanwhile; it does not forget what it knows."""
        before = next(nat.kind for nat in self.box.topology.nats if nat.node == name)
        self.box.set_nat(name, kind, forget=False)
        try:
            yield
        finally:
            self.box.set_nat(name, before, forget=False)


def _watched(test: Callable[[VillageCase], None]) -> Callable[[VillageCase], None]:
    """The same test; when it fails, its village is not used again."""

    @functools.wraps(test)
    def watched(case: VillageCase) -> None:
        try:
            test(case)
        except BaseException:
            case.village.failed = True
            print(f"{case.id()}: logs in {case.village.keep_logs(case.id())}", file=sys.stderr)
            raise

    return watched


class VillageCase(VillageActions, SynchronousTestCase):
    """Tests on the village of `place`."""

    skip = NOT_HERE
    timeout = 180
    place: ClassVar[Place] = Place()

    def __init_subclass__(cls) -> None:
        """Watch every test of the class."""
        for name, value in list(vars(cls).items()):
            if name.startswith("test_"):
                setattr(cls, name, _watched(value))

    def setUp(self) -> None:
        self.use(village_of(self.place))

    # -- what is asserted

    def none_lost(self, final: dict[str, Any]) -> None:
        """Not one echo was lost, and none came twice."""
        told = {name: final[name] for name in ("sent", "lost", "duplicates", "losses", "longest_gap_ms")}
        self.assertEqual((final["lost"], final["duplicates"]), (0, 0), told)

    def unbroken(self, final: dict[str, Any]) -> None:
        """A transfer was neither reset nor changed."""
        self.assertEqual((final["resets"], final["sha256_equal"]), (0, True), final)
