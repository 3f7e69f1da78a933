"""When sockets are replaced, and when the ones before are closed."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.peers.rotation import CHECKS, LET_GO, Key, Rotation
from morphnet.traversal.lifespan import IN_TIME
from morphnet.wire.batch import Endpoint

WIFI: Key = ("wifi", "192.168.1.2")
LIFE = 60.0


class FakeSockets:
    """One uplink's."""

    def __init__(self) -> None:
        self.current, self.closed, self.refused = {WIFI: 1}, list[int](), False

    def numbers(self) -> dict[Key, int]:
        """The socket in use now."""
        return self.current

    def replace(self, key: Key) -> int | None:
        """Put one with the next number in its place; the old number, or None when refused."""
        if self.refused:
            return None
        before = self.current[key]
        self.current = {**self.current, key: before + 1}
        self.changed()
        return before

    def let_go(self, number: int) -> None:
        self.closed.append(number)

    def changed(self) -> None:
        """Set by the test."""


class RotationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.sockets = Clock(), FakeSockets()
        self.helps, self.used, self.told = True, set[int](), list[str]()
        self.rotation = Rotation(
            self.clock, self.sockets, lambda number: self.helps, lambda: self.used, self.told.append
        )
        self.sockets.changed = self.rotation.sockets_are  # type: ignore[method-assign]
        self.rotation.sockets_are()
        self.mappings = 0
        self.map()

    def map(self) -> None:
        """The NAT gives the socket of the moment another port."""
        self.mappings += 1
        self.rotation.seen_as(self.sockets.current[WIFI], Endpoint("198.51.100.2", 20000 + self.mappings))

    def learn(self) -> None:
        for _ in range(2):
            self.clock.advance(LIFE)
            self.map()

    def test_in_time(self) -> None:
        """Nothing happens until the NAT is known; then every mapping is left before its end, and that is told once."""
        self.clock.advance(LIFE)
        self.map()
        self.assertEqual((self.sockets.current[WIFI], self.told), (1, []))
        self.clock.advance(LIFE)
        self.map()
        said = "the NAT on wifi ends a mapping after 60 s, however it is used: other sockets take over in time"
        self.assertEqual(self.told, [said])
        for turn in range(2, 5):
            self.clock.advance(IN_TIME * LIFE - 1)
            self.assertEqual(self.sockets.current[WIFI], turn - 1)
            self.clock.advance(1)
            self.assertEqual(self.sockets.current[WIFI], turn)
            self.map()
        self.assertEqual(len(self.told), 1)

    def test_closed(self) -> None:
        """The one before is closed when no path needs it, and at last in any case."""
        self.learn()
        self.used = {1}
        self.clock.advance(IN_TIME * LIFE)
        self.clock.pump([LET_GO] * 2)
        self.assertEqual(self.sockets.closed, [])
        self.used.clear()
        self.clock.advance(LET_GO)
        self.assertEqual(self.sockets.closed, [1])
        self.used = {2}
        self.clock.advance(IN_TIME * LIFE - 3 * LET_GO)
        self.clock.pump([LET_GO] * CHECKS)
        self.assertEqual(self.sockets.closed, [1])
        self.clock.advance(LET_GO)
        self.assertEqual(self.sockets.closed, [1, 2])

    def test_no_help(self) -> None:
        """Where another socket is of no use, or there is none, the one there is stays, and is looked at again."""
        self.learn()
        self.helps = False
        self.clock.advance(IN_TIME * LIFE)
        self.helps, self.sockets.refused = True, True
        self.clock.advance(IN_TIME * LIFE)
        self.assertEqual(self.sockets.current[WIFI], 1)
        self.sockets.refused = False
        self.clock.advance(IN_TIME * LIFE)
        self.assertEqual(self.sockets.current[WIFI], 2)

    def test_another_network(self) -> None:
        """On another network nothing is known; when that one is back it is learned again."""
        self.learn()
        self.sockets.current = {("lte", "100.64.0.2"): 7}
        self.rotation.sockets_are()
        self.clock.advance(10 * LIFE)
        self.assertEqual(list(self.sockets.current.values()), [7])

    def test_stop(self) -> None:
        """Then nothing is left to do."""
        self.learn()
        self.clock.advance(IN_TIME * LIFE)
        self.rotation.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
