"""What begins, moves, silences and ends a path."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.carrier import RELAYED, Carrier
from morphnet.tunnel.connection_ids import ConnectionIds
from morphnet.tunnel.events import Effects, PathChanged, PathMoved
from morphnet.tunnel.lateness import Lateness
from morphnet.tunnel.path import State
from morphnet.tunnel.pathtable import MAX_PATHS, PathTable, Shared
from morphnet.wire.batch import Arrival, Endpoint
from tests.tunnel.test_outbound import outbound

HERE, THERE = Endpoint("203.0.113.1", 8000), Endpoint("203.0.113.2", 8000)
RELAY = 9  # a door


class TableTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.outbound, self.effects = outbound(0), Effects()
        self.connection_ids = ConnectionIds(self.outbound, server=False)
        shared = Shared(bytes, Lateness(), {RELAY: Carrier(RELAYED, "relay")})
        self.table = PathTable("gateway", self.outbound, self.connection_ids, shared)
        self.table.raise_ceiling(1440)

    def open(self, uplink: str, door: int = 0, *, works: bool = True) -> int:
        """A path by that uplink: its id."""
        path = self.table.open(door, HERE, uplink, 1.0, self.effects)
        if works:
            self.table.change(path, State.ACTIVE, 1.0, self.effects)
        return path.id

    def changes(self) -> list[tuple[int, State, int]]:
        """What was told of paths, and is not told again: id, state, packets sent again."""
        told = [each for each in self.effects.events if isinstance(each, PathChanged)]
        self.effects.events.clear()
        return [(each.path, State(each.now), each.resent) for each in told]


class CommandTests(TableTestCase):
    def test_open(self) -> None:
        """A path is probed at once, by an id that was never shown, to an address that needs no proof."""
        self.connection_ids.in_hand.append(b"i" * 20)
        path = self.table.by_id[self.open("wan", works=False)]
        self.assertEqual((path.state, path.shown, path.uplink), (State.PROBING, b"i" * 20, "wan"))
        self.assertEqual((path.validation.validated, len(self.effects.sends)), (True, 1))

    def test_open_again(self) -> None:
        """The closed path of the same uplink is used again; another uplink gets an id of its own."""
        first = self.open("wan")
        self.table.close(first, 2.0, self.effects)
        self.assertEqual([self.open("lte"), self.open("wan")], [1, first])

    def test_all_ids_used(self) -> None:
        """With no id left, the path that has been closed for longest is used again."""
        for number in range(256):
            self.table.close(self.open(f"uplink {number}"), 2.0 + number, self.effects)
        self.assertEqual(self.open("another"), 0)

    def test_close(self) -> None:
        """The other end is told by a path that works, if there is one, and only once."""
        one, two = self.open("wan"), self.open("lte")
        self.effects.sends.clear()
        for _ in range(2):
            self.table.close(one, 2.0, self.effects)
        self.assertEqual([each.door for each in self.effects.sends], [self.table.by_id[two].door])
        self.table.close(99, 2.0, self.effects)
        self.assertEqual(self.table.by_id[one].state, State.CLOSED)

    def test_move(self) -> None:
        """It leads elsewhere, is learned anew, and remembers what it left."""
        path = self.table.by_id[self.open("wan")]
        path.pacer.window.startup = False
        self.table.move(path.id, 3, THERE, 2.0, self.effects)
        self.assertEqual((path.door, path.remote, path.left), (3, THERE, (0, HERE)))
        self.assertTrue(path.pacer.window.startup)
        self.assertIsInstance(self.effects.events[-1], PathMoved)

    def test_carrier(self) -> None:
        """What carries a path says its rank, and that of a stream its size."""
        path = self.table.by_id[self.open("relay", RELAY)]
        self.assertEqual((path.rank, path.mtu.proven), (RELAYED, path.mtu.ceiling))

    def test_silence(self) -> None:
        """One, or all of them; only of those in use there is anything to tell."""
        for uplink in ("wan", "lte", "cable"):
            self.open(uplink)
        self.changes()
        for _ in range(2):
            self.table.silence(1, 2.0, self.effects)
        self.table.silence(99, 2.0, self.effects)
        self.assertEqual(self.changes(), [(1, State.SILENT, 0)])
        self.table.silence_all(3.0, self.effects)
        self.assertEqual([each[:2] for each in self.changes()], [(0, State.SILENT), (2, State.SILENT)])

    def test_lost_in_silence(self) -> None:
        """What was lost in a silence is nothing against a path that works again."""
        path = self.table.by_id[self.open("wan")]
        self.table.silence(path.id, 2.0, self.effects)
        for meter in (path.loss, path.any_loss):
            meter.add(0, 0, 2.0)
            meter.add(100, 20, 2.5)
            self.assertEqual(meter.rate(), 0.8)
        self.table.change(path, State.ACTIVE, 3.0, self.effects)
        self.assertEqual((path.loss.rate(), path.any_loss.rate()), (0.0, 0.0))


class AcceptTests(TableTestCase):
    def test_accepted(self) -> None:
        """What the other end opened is not proved, and is called after what carries it."""
        path = self.table.accept(7, Arrival(RELAY, HERE, memoryview(b""), 0), 1.0)
        assert path is not None
        self.assertEqual((path.id, path.uplink, path.rank), (7, "relay", RELAYED))
        self.assertFalse(path.validation.validated)

    def test_bounded(self) -> None:
        """So many and no more, those that are closed not counted."""
        arrival = Arrival(0, HERE, memoryview(b""), 0)
        accepted = [self.table.accept(number, arrival, 1.0) for number in range(MAX_PATHS + 1)]
        self.assertEqual([path is None for path in accepted], [False] * MAX_PATHS + [True])
        self.table.close(0, 2.0, self.effects)
        self.assertIsNotNone(self.table.accept(MAX_PATHS, arrival, 3.0))


class ChangeTests(TableTestCase):
    def test_last_one(self) -> None:
        """When the last path in use falls silent, all that there are are asked at once."""
        one, two = (self.table.by_id[self.open(uplink)] for uplink in ("wan", "lte"))
        self.table.change(one, State.SILENT, 2.0, self.effects)
        one.life.probe_at = 99.0
        self.table.change(two, State.SILENT, 3.0, self.effects)
        self.assertEqual((one.life.probe_at, two.life.probe_at), (3.0, 3.0))

    def test_no_change(self) -> None:
        """The same again is no news."""
        path = self.table.by_id[self.open("wan")]
        self.changes()
        self.table.change(path, State.ACTIVE, 2.0, self.effects)
        self.assertEqual((self.changes(), path.since), ([], 1.0))

    def test_opened_anew(self) -> None:
        """Old falls do not count for a path that is opened anew."""
        path = self.table.by_id[self.open("wan")]
        path.life.falls = 3
        self.table.change(path, State.PROBING, 2.0, self.effects)
        self.assertEqual(path.life.falls, 0)
