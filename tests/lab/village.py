"""
Villages: homes behind routers, relays, and machines that meet there. Real `twistd` processes throughout; a village is
made once for the tests that want the same, and made anew after a test that failed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from morphnet.lab.box import Box
from morphnet.lab.homes import Home, homes, machine
from morphnet.lab.meeting import Meeting
from morphnet.lab.vpn import Daemon, wait_for
from tests.lab.case import Ping, Traffic
from tests.lab.scene import PORT, Scene, SceneCase, Stage, Waiting, serve

NAMES = ("anna", "bert", "carl", *(f"node{i}" for i in range(3, 20)))
SEARCH = "node.mesh.peers.addresses_changed()"


@dataclass(frozen=True)
class Place:
    """What a test wants to stand on."""

    homes: tuple[Home, ...] = (Home(), Home())
    relays: int = 1
    settings: tuple[tuple[str, object], ...] = ()  # of every machine


class Village(Scene):
    """A box with relays, and one machine in each home."""

    def __init__(self, place: Place) -> None:
        self.place = place
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
                serve(self.meeting.machines[name].node)
        except BaseException:
            self.stop()
            raise

    def until_answers(self, name: str) -> None:
        """Wait until that machine's process runs."""
        wait_for(f"{name} answers", self.meeting.machines[name].answers)

    def daemons(self) -> Iterable[Daemon]:
        """All of them."""
        return self.meeting.daemons()

    def stop(self) -> None:
        """End it all."""
        self.meeting.stop()
        self.box.stop()


village_of = Stage(Village)


class VillageActions(Waiting):
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


class VillageCase(VillageActions, SceneCase):
    """Tests on the village of `place`."""

    timeout = 180
    place: ClassVar[Place] = Place()

    def scene(self) -> Scene:
        return self.village

    def setUp(self) -> None:
        self.use(village_of(self.place))

    # -- what is asserted

    def none_lost(self, final: dict[str, Any]) -> None:
        """Not one echo was lost, and none came twice."""
        told = {name: final[name] for name in ("sent", "lost", "duplicates", "losses", "longest_gap_ms")}
        self.assertEqual((final["lost"], final["duplicates"]), (0, 0), told)
