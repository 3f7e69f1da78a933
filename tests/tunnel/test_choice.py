"""Which paths traffic may use, by their rank and their state."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.tunnel.carrier import DIRECT, RELAYED, STREAM, Carrier
from morphnet.tunnel.events import Effects, PathChanged
from morphnet.tunnel.lateness import Lateness
from morphnet.tunnel.part import Part
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.pathtable import Shared
from morphnet.tunnel.session import Session
from morphnet.tunnel.terms import BACKUP, FREE, LAST, METERED, Terms
from morphnet.tunnel.timers import LINGER, dormant
from tests.simulation import SERVER_END


class ChoiceTests(SynchronousTestCase):
    """Paths that are only looked at."""

    def setUp(self) -> None:
        self.carriers = {1: Carrier(), 2: Carrier(STREAM), 3: Carrier(RELAYED), 4: Carrier(RELAYED + 1)}
        shared = Shared(bytes, Lateness(), self.carriers)
        self.session = Session("phone", bytes(16), Tuning(), Part.CALLER, shared)
        self.session.install(bytes(32), bytes(32), 1, 0.0)
        for door in list(self.carriers):
            path = self.session.open_path(door, SERVER_END, "", 0.0, Effects())
            path.enter(State.ACTIVE, 0.0)

    def path(self, rank: int) -> Path:
        """The one of that rank."""
        return next(path for path in self.session.paths.values() if path.rank == rank)

    def usable_paths(self) -> list[int]:
        """Ranks of those that traffic may use now."""
        return [path.rank for path in self.session.outbound.usable_paths()]

    def test_lowest_rank(self) -> None:
        """Traffic goes by the lowest rank of which a path works, relays the nearest first."""
        for rank in (DIRECT, STREAM, RELAYED, RELAYED + 1):
            self.assertEqual(self.usable_paths(), [rank])
            self.path(rank).enter(State.SILENT, 1.0)
        self.assertEqual(self.usable_paths(), [])

    def test_stand_by(self) -> None:
        """A direct path on stand-by, which loses much, leaves the traffic to a relay that works."""
        self.path(DIRECT).enter(State.STANDBY, 1.0)
        self.path(STREAM).enter(State.SILENT, 1.0)
        self.assertEqual(self.usable_paths(), [RELAYED])
        for rank in (RELAYED, RELAYED + 1):
            self.path(rank).enter(State.STANDBY, 1.0)
        self.assertEqual(self.usable_paths(), [DIRECT])

    def test_several(self) -> None:
        """All paths of the lowest rank are used together."""
        self.carriers.update({5: Carrier()})
        self.session.open_path(5, SERVER_END, "", 0.0, Effects()).enter(State.ACTIVE, 0.0)
        self.assertEqual(self.usable_paths(), [DIRECT, DIRECT])

    def choose(self, *states: tuple[State, Terms], rank: int = DIRECT) -> list[int]:
        """Which of these paths a redundant scheduler uses, by their places in this call; the first has that rank."""
        self.session.set_scheduler("redundant")
        for path in list(self.session.paths.values()):
            self.session.close_path(path.id, 0.0, Effects())
        numbers = []
        for place, (state, terms) in enumerate(states):
            door = 10 + place
            self.carriers[door] = Carrier(DIRECT if place else rank)
            path = self.session.open_path(door, SERVER_END, f"w{place}", 0.0, Effects())
            path.treat(terms)
            path.enter(state, 0.0)
            path.rtt.add(0.1 / (place + 1), now=0.0)
            numbers.append(path.id)
        return [numbers.index(path.id) for path in self.session.outbound.usable_paths()]

    def test_copies(self) -> None:
        """No copy goes where bytes cost: not beside a free path of any level, nor by a second one that is metered."""
        active, lossy = State.ACTIVE, State.STANDBY
        free, dear = Terms(BACKUP), Terms(BACKUP, metered=True)
        self.assertEqual(self.choose((active, free), (active, free)), [0, 1])
        self.assertEqual(self.choose((active, free), (active, dear)), [0])
        self.assertEqual(self.choose((active, dear), (active, dear)), [1])
        self.assertEqual(self.choose((active, dear), (lossy, dear)), [0])
        self.assertEqual(self.choose((lossy, dear), (lossy, dear)), [1])
        self.assertEqual(self.choose((active, dear), (lossy, free)), [0, 1])
        self.assertEqual(self.choose((lossy, Terms(METERED, metered=True)), (active, free)), [1])

    def test_copies_of_the_lossy(self) -> None:
        """What loses much helps, and is not alone while another works, of its level or of a higher one."""
        active, lossy = State.ACTIVE, State.STANDBY
        self.assertEqual(self.choose((active, FREE), (lossy, FREE)), [0, 1])
        self.assertEqual(self.choose((lossy, FREE), (active, Terms(BACKUP))), [1, 0])
        self.assertEqual(self.choose((active, FREE), (lossy, Terms(BACKUP))), [0])
        self.assertEqual(self.choose((lossy, FREE), (active, Terms(LAST))), [0])
        self.assertEqual(self.choose((active, FREE), (lossy, FREE), rank=RELAYED), [0, 1])
        self.assertEqual(self.choose((lossy, FREE), (lossy, FREE)), [0, 1])
        self.assertEqual(self.choose((lossy, Terms(LAST)), (active, Terms(LAST))), [1, 0])

    def test_dormant(self) -> None:
        """A path rests when a better one has been active for a while; a direct one never does."""

        def resting(now: float) -> list[int]:
            return [path.rank for path in self.session.paths.values() if dormant(self.session, path, now)]

        self.assertEqual(resting(LINGER), [])
        self.assertEqual(resting(LINGER + 0.1), [STREAM, RELAYED, RELAYED + 1])
        self.path(DIRECT).enter(State.STANDBY, 10.0)
        self.assertEqual(resting(20.0), [RELAYED, RELAYED + 1])
        self.path(STREAM).enter(State.SILENT, 20.0)
        self.assertEqual(resting(30.0), [RELAYED + 1])
        self.path(DIRECT).enter(State.ACTIVE, 30.0)
        self.assertEqual(resting(30.0 + LINGER), [RELAYED + 1])
        self.assertEqual(resting(30.1 + LINGER), [STREAM, RELAYED, RELAYED + 1])

    def test_silence(self) -> None:
        """Only what is in use can fall silent by being told so."""
        effects = Effects()
        number = self.path(RELAYED).id
        self.session.silence(number, 1.0, effects)
        self.session.silence(number, 2.0, effects)
        self.session.silence(99, 2.0, effects)
        self.assertEqual([event.now for event in effects.events if isinstance(event, PathChanged)], [State.SILENT])
