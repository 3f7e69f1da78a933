"""Addresses that nobody has ever answered from."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.traversal.courtesy import (
    AGAIN,
    FIRST,
    FOR_A_QUESTION,
    FRESH,
    KNOWN_FOR,
    MOST_HOSTS,
    MOST_PORTS,
    VOLLEYS,
    Courtesy,
)

HOST, OTHER = "192.0.2.66", "192.0.2.67"


class CourtesyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.courtesy = Courtesy()

    def taken(self, host: str, now: float, tries: int = 100) -> int:
        """How many of so many packets may go there."""
        return sum(self.courtesy.take(host, now) for _ in range(tries))

    def test_a_few(self) -> None:
        """An address gets a few packets, and one a minute then; another one has its own."""
        self.assertEqual((self.taken(HOST, 0.0), self.taken(OTHER, 0.0)), (FIRST, FIRST))
        self.assertEqual(self.courtesy.refused, 200 - 2 * FIRST)
        self.assertEqual([self.taken(HOST, AGAIN * turn / 2 + 0.001) for turn in range(1, 7)], [0, 1] * 3)
        self.assertEqual(self.taken(HOST, 1e6), FIRST)
        self.assertLessEqual(FIRST + 1, 10)  # figure D17, in a minute

    def test_ports_by_the_peers_own_word(self) -> None:
        """A port of which the peer itself says that it is there is asked, though nothing else was answered; but few."""
        self.taken(HOST, 0.0)
        for port in range(1, MOST_PORTS + 5):
            taken = sum(self.courtesy.take(HOST, 0.0, port=port) for _ in range(100))
            self.assertEqual(taken, FIRST if port <= MOST_PORTS else 0)
        self.assertEqual((self.taken(HOST, AGAIN), self.courtesy.take(HOST, AGAIN, port=1)), (1, True))

    def test_questions(self) -> None:
        """An authentic question is good for a few more, and never for more than at the beginning."""
        self.taken(HOST, 0.0)
        self.courtesy.asked(HOST, 0.0)
        self.assertEqual(self.taken(HOST, 0.0), FOR_A_QUESTION)
        for _ in range(100):
            self.courtesy.asked(HOST, 0.0)
        self.assertEqual(self.taken(HOST, 0.0), FIRST)

    def test_answered(self) -> None:
        """Where the peer has answered, it may be asked as often as it takes, for an hour."""
        self.taken(HOST, 0.0)
        self.courtesy.answered(HOST, 0.0)
        self.assertEqual(self.taken(HOST, KNOWN_FOR - 1.0), 100)
        self.courtesy.take(HOST, KNOWN_FOR - 1.0, FIRST)
        self.assertEqual(self.taken(HOST, KNOWN_FOR), FIRST)

    def test_several_at_once(self) -> None:
        """What needs more packets than are left gets none."""
        self.assertTrue(self.courtesy.take(HOST, 0.0, FIRST - 1))
        self.assertFalse(self.courtesy.take(HOST, 0.0, 2))
        self.assertTrue(self.courtesy.take(HOST, 0.0))

    def test_volleys(self) -> None:
        """The ports of one address are guessed so many times."""
        self.assertEqual(sum(self.courtesy.volley(HOST, float(turn)) for turn in range(100)), VOLLEYS)
        self.assertTrue(self.courtesy.volley(OTHER, 100.0))

    def test_bounded(self) -> None:
        """Whoever names addresses without end has no more of them asked, until some are old."""
        for number in range(MOST_HOSTS + 10):
            self.courtesy.asked(f"host{number}", float(number) / MOST_HOSTS)
        self.assertEqual((len(self.courtesy), self.taken("one more", 1.0)), (MOST_HOSTS, 0))
        self.assertEqual((self.taken("one more", FRESH), len(self.courtesy)), (FIRST, MOST_HOSTS))
