"""On which terms paths are used: backup and metered uplinks, bounds, and who knows of them when."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.path import State
from morphnet.tunnel.terms import BACKUP, ENDLESS, FREE, LAST, METERED, SPARSE, UNTOLD, Bound, Terms
from morphnet.wire.header import IP
from tests.simulation import Link, World, numbers, read
from tests.tunnel.scenes import Scene, way

COUNT, EVERY = 400, 0.005


def world(terms: Mapping[int, Terms], *, otherwise: Terms = FREE, **tuning: object) -> Scene:
    """Two uplinks, settled, of which both ends know the terms."""
    scene = Scene([way(0.02, 20), way(0.04, 20)], **tuning)  # type: ignore[arg-type]
    for session in (scene.client_session, scene.server_session):
        session.table.treat(terms, otherwise)
    scene.run(2.0)
    return scene


def packets_on(link: Link) -> int:
    """Datagrams with packets in them that it was given."""
    return sum(read(each).type == IP for each in link.log)


def both(scene: World, count: int = COUNT, every: float = EVERY) -> None:
    """A stream in each direction."""
    for up in (True, False):
        scene.stream(count, every, up=up)


class BackupTests(SynchronousTestCase):
    def test_rests(self) -> None:
        """Nothing goes by a backup, either way, while another works; it is asked as often as an idle path is."""
        scene = world({1: Terms(BACKUP)})
        before = [len(link.log) for link in scene.links[1]]
        both(scene, 400, 0.05)
        scene.run(25.0)
        self.assertEqual([packets_on(link) for link in scene.links[1]], [0, 0])
        self.assertGreaterEqual(len(scene.links[1][0].log) - before[0], 4)
        self.assertEqual(scene.client_session.paths[1].state, State.ACTIVE)

    def test_takes_over(self) -> None:
        """When the other one swallows everything it carries on, and gives back: nothing is lost or comes twice."""
        for scheduler in ("bond", "flow", "redundant", "best"):
            scene = world({1: Terms(BACKUP)}, scheduler=scheduler)
            both(scene, 500, 0.02)
            scene.at(scene.now + 1.0, lambda scene=scene: self.kill(scene, dead=True))  # type: ignore[misc]
            scene.at(scene.now + 4.0, lambda scene=scene: self.kill(scene, dead=False))  # type: ignore[misc]
            scene.run(8.0)
            carried = [packets_on(link) for link in scene.links[1]]
            self.assertGreater(min(carried), 100, scheduler)
            scene.run(8.0)
            for delivered in (scene.at_server, scene.at_client):
                got = numbers([packet for _, packet in delivered])
                self.assertEqual(sorted(got), list(range(500)), scheduler)
            self.assertEqual([packets_on(link) for link in scene.links[1]], carried, scheduler)

    @staticmethod
    def kill(scene: World, *, dead: bool) -> None:
        """Let the first uplink swallow everything, or not any more."""
        for link in scene.links[0]:
            link.dead = dead

    def test_live(self) -> None:
        """Told otherwise while traffic flows, it goes by the other one from then on, and nothing is lost."""
        scene = world({1: Terms(BACKUP)})
        both(scene)
        scene.run(1.0)
        for session in (scene.client_session, scene.server_session):
            session.table.treat({0: Terms(BACKUP)})
        before = [packets_on(link) for link in scene.links[0]]
        scene.run(3.0)
        for link, had in zip(scene.links[0], before, strict=True):
            self.assertEqual(packets_on(link), had)
        self.assertEqual([len(scene.at_server), len(scene.at_client)], [COUNT, COUNT])

    def test_untold(self) -> None:
        """Of a path of which an end is to be told, it makes no use before, while another one works."""
        scene = world({0: FREE}, otherwise=UNTOLD)
        both(scene)
        scene.run(3.0)
        self.assertEqual([packets_on(link) for link in scene.links[1]], [0, 0])


class MeteredTests(SynchronousTestCase):
    def test_sparse(self) -> None:
        """It is asked once in SPARSE, and not for its MTU while it rests."""
        scene = world({1: Terms(METERED, metered=True)})
        before = [len(link.log) for link in scene.links[1]]
        scene.run(4 * SPARSE)
        sent = [len(link.log) - had for link, had in zip(scene.links[1], before, strict=True)]
        self.assertLessEqual(max(sent), 2 * 4 + 2)  # questions of both ends, and their answers
        self.assertEqual(scene.client_session.paths[1].state, State.ACTIVE)

    def test_no_copies(self) -> None:
        """A redundant scheduler makes no copies for it, nor for two of them."""
        for terms in ({1: Terms(METERED, metered=True)}, dict.fromkeys((0, 1), Terms(METERED, metered=True))):
            scene = world(terms, scheduler="redundant")
            both(scene)
            scene.run(4.0)
            carried = [packets_on(links[0]) for links in scene.links]
            self.assertEqual(sum(carried), COUNT)
            self.assertEqual(len(scene.at_server), COUNT)

    def test_lossy(self) -> None:
        """Of two of which one is enough it is the one that loses little, though the other is quicker."""
        scene = world(dict.fromkeys((0, 1), Terms(METERED, metered=True)), scheduler="redundant")
        scene.client_session.paths[0].enter(State.STANDBY, scene.now)
        scene.stream(100, EVERY, up=True)
        scene.run(1.0)
        self.assertEqual([packets_on(up) for up, _ in scene.links], [0, 100])


class LastTests(SynchronousTestCase):
    def test_after_the_lossy(self) -> None:
        """What is for the last resort waits even while the other one loses much; a backup does not."""
        for level, used in ((BACKUP, True), (LAST, False)):
            scene = world({1: Terms(level)})
            for session in (scene.client_session, scene.server_session):
                session.paths[0].enter(State.STANDBY, scene.now)
            both(scene, 100)
            scene.run(0.6)
            self.assertEqual(packets_on(scene.links[1][0]) > 0, used)


class RateTests(SynchronousTestCase):
    def test_holds(self) -> None:
        """What is sent keeps to the bound and uses it, each way by its own, whatever the path could carry."""
        rates = (1e6, 0.5e6)  # bytes a second
        scene = world({})
        for session, rate in zip((scene.client_session, scene.server_session), rates, strict=True):
            session.table.treat({0: Terms(rate=rate), 1: Terms(BACKUP)})
        for up in (True, False):
            scene.stream(10000, 0.0006, up=up, size=1300)
        scene.run(2.0)
        before = [self.on_wire(link) for link in scene.links[0]]
        scene.run(4.0)
        for link, had, rate in zip(scene.links[0], before, rates, strict=True):
            self.assertLess(abs((self.on_wire(link) - had) / 4.0 / rate - 1.0), 0.05)

    @staticmethod
    def on_wire(link: Link) -> int:
        """Bytes with the headers of IP and UDP."""
        return sum(len(each) + 28 for each in link.log)

    def test_bucket(self) -> None:
        """It holds so much and no more; what had to go is owed; without a rate there is no end."""
        bound = Bound(1e6)
        self.assertEqual(bound.room(5.0), 10_000)
        bound.sent(16_000, 5.0)
        self.assertAlmostEqual(bound.room(5.0), -6000)
        self.assertAlmostEqual(bound.room_at(1000, 5.0), 5.007)
        self.assertAlmostEqual(bound.room(5.007), 1000)
        self.assertEqual(bound.room(50.0), 10_000)
        bound.set(ENDLESS)
        self.assertEqual(bound.room(50.0), ENDLESS)
