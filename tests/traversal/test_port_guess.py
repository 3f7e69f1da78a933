"""Many questions at once."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.traversal.port_guess import BURST, HIGHEST, LOWEST, PATIENCE, PORTS, SOCKETS, Shot, Volley, guesses
from morphnet.wire.batch import Endpoint

SHOTS = [Shot(1, Endpoint("198.51.100.2", port)) for port in range(2000, 2100)]


def fire(volley: Volley, now: float) -> tuple[list[Shot], float]:
    """Everything that it has, in its own time."""
    fired: list[Shot] = []
    while (due := volley.due_at()) < float("inf"):
        now = max(now, due)
        fired += volley.take(now)
        assert len(fired) < 10000
    return fired, now


class VolleyTests(SynchronousTestCase):
    def test_all_in_their_time(self) -> None:
        """Each is asked once, a few at a time, a thousand in a second."""
        volley = Volley()
        volley.load(SHOTS, 5.0)
        self.assertEqual(len(volley.take(5.0)), BURST)
        self.assertEqual(volley.take(5.0), [])
        fired, now = fire(volley, 5.0)
        self.assertEqual(len(fired), len(SHOTS) - BURST)
        self.assertAlmostEqual(now, 5.0 + (len(SHOTS) - 4) * 0.001, places=2)

    def test_answers(self) -> None:
        """An answer counts once, from where it was asked for, on the socket that asked."""
        volley = Volley()
        volley.asked(b"t" * 8, SHOTS[0], 1.0)
        self.assertIsNone(volley.answered(b"u" * 8, 1, SHOTS[0].to))
        self.assertIsNone(volley.answered(b"t" * 8, 2, SHOTS[0].to))
        self.assertIsNone(volley.answered(b"t" * 8, 1, SHOTS[1].to))
        self.assertEqual(volley.answered(b"t" * 8, 1, SHOTS[0].to), 1.0)
        self.assertIsNone(volley.answered(b"t" * 8, 1, SHOTS[0].to))

    def test_bounded(self) -> None:
        """What was asked long ago is forgotten."""
        volley = Volley()
        for turn in range(5000):
            volley.asked(turn.to_bytes(8, "big"), SHOTS[0], turn * 0.01)
        self.assertLessEqual(len(volley._asked), PATIENCE / 0.01 + 2)
        volley.clear()
        self.assertEqual((volley.due_at(), len(volley._asked)), (float("inf"), 0))

    @given(st.binary(max_size=200), st.integers(1, 60))
    def test_guesses(self, chance: bytes, count: int) -> None:
        """Guesses are different ports that a router may give, no more than were asked for."""
        found = guesses(chance, count)
        self.assertEqual(len(found), len(set(found)))
        self.assertLessEqual(len(found), count)
        self.assertTrue(all(LOWEST <= port <= HIGHEST for port in found))

    def test_odds(self) -> None:
        """Of a hundred volleys at least ninety hit."""
        chance = random.Random(1)
        hits = 0
        for _ in range(100):
            mapped = {chance.randint(LOWEST, HIGHEST) for _ in range(SOCKETS)}
            hits += bool(mapped & set(guesses(chance.randbytes(4 * PORTS), PORTS)))
        self.assertGreaterEqual(hits, 90)
