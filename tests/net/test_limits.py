"""What one source may ask."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.limits import Lobby, SourceLimiter, TokenBucket, source_of


class SourceTests(SynchronousTestCase):
    """Whom an address is counted for."""

    def test_source(self) -> None:
        """IPv4 by address, IPv6 by /64, a mapped address as what it maps."""
        self.assertEqual(source_of("192.0.2.1"), "192.0.2.1")
        self.assertEqual(source_of("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(source_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64")
        self.assertEqual(source_of("fe80::1%eth0"), "fe80::/64")
        self.assertNotEqual(source_of("2001:db8:1:2::1"), source_of("2001:db8:1:3::1"))


class LimiterTests(SynchronousTestCase):
    """20 a second, 5 at once (figure E2)."""

    def test_burst_and_rate(self) -> None:
        """Five at once, and one more each 50 ms; other sources are not touched."""
        limiter = SourceLimiter(20.0, 5, 100)
        self.assertEqual([limiter.admit("a", now=0.0) for _ in range(7)], [True] * 5 + [False] * 2)
        self.assertTrue(limiter.admit("b", now=0.0))
        self.assertFalse(limiter.admit("a", now=0.04))
        self.assertTrue(limiter.admit("a", now=0.06))
        self.assertEqual(limiter.refused, 3)

    @given(st.lists(st.floats(0, 0.2), max_size=200))
    def test_never_more(self, gaps: list[float]) -> None:
        """However they come, never more than burst + rate x time are let in."""
        bucket, now, let_in = TokenBucket(20.0, 5, now=0.0), 0.0, 0
        for gap in gaps:
            now += gap
            let_in += bucket.take(now=now)
        self.assertLessEqual(let_in, 5 + 20.0 * now + 1e-6)

    def test_bounded(self) -> None:
        """A flood of sources does not grow the table; those heard of lately stay in it."""
        limiter = SourceLimiter(20.0, 5, 100)
        for _ in range(5):
            limiter.admit("busy", now=0.0)
        for number in range(1000):
            limiter.admit(f"source {number}", now=0.0)
            self.assertFalse(limiter.admit("busy", now=0.0))
        self.assertEqual(len(limiter), 100)

    def test_clock_backwards(self) -> None:
        """Time that goes back gives nothing."""
        bucket = TokenBucket(20.0, 1, now=100.0)
        self.assertTrue(bucket.take(now=100.0))
        self.assertFalse(bucket.take(now=0.0))


class LobbyTests(SynchronousTestCase):
    """Who has to leave."""

    def test_crowded_source(self) -> None:
        """A source that has too many waiting loses its own oldest, not another's."""
        lobby: Lobby[str] = Lobby(100, 2)
        self.assertIsNone(lobby.enter("honest", "h"))
        self.assertIsNone(lobby.enter("a1", "a"))
        self.assertIsNone(lobby.enter("a2", "a"))
        self.assertEqual(lobby.enter("a3", "a"), "a1")
        self.assertEqual(lobby.oldest(), "honest")
        self.assertEqual((len(lobby), lobby.evicted), (3, 1))

    def test_full(self) -> None:
        """When all is full the oldest of all leaves."""
        lobby: Lobby[int] = Lobby(3, 100)
        for guest in range(3):
            lobby.enter(guest, str(guest))
        self.assertEqual(lobby.enter(3, "3"), 0)
        lobby.leave(2)
        self.assertIsNone(lobby.enter(4, "4"))

    def test_leave_twice(self) -> None:
        """One who has left already is no trouble, and leaves no trace."""
        lobby: Lobby[int] = Lobby(3, 3)
        lobby.enter(1, "a")
        lobby.leave(1)
        lobby.leave(1)
        self.assertEqual((len(lobby), lobby.oldest(), lobby._by_source), (0, None, {}))
