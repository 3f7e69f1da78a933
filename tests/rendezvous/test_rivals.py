"""Two machines with one certificate."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.rivals import CLONED, COME_AGAIN, FIRST, MOST, OVER_AFTER, SELDOM, TELL_EVERY, Rivals


class RivalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        """:ivar now: seconds."""
        self.rivals, self.now = Rivals(), 1000.0

    def turned(self, after: float = 0.0, name: str = "laptop") -> tuple[str, float, bool]:
        """A second machine comes, so many seconds later."""
        self.now += after
        found = self.rivals.turned(name, self.now)
        return found.reason, found.retry_after, found.tell

    def test_same_machine(self) -> None:
        """Only the next process of its machine takes over from one; who was taken over from does not."""
        first, second, third, other = ("a" * 8 + "1" * 8, "a" * 8 + "2" * 8, "a" * 8 + "3" * 8, "b" * 16)
        for here, comes, takes in (
            (first, first, True),
            (first, other, False),
            (first, second, True),
            (second, first, False),
            (second, third, True),
            (third, second, False),
            (third, "", False),
        ):
            self.assertEqual(self.rivals.takes_over("laptop", here, comes), takes, (here, comes))
        self.assertTrue(self.rivals.takes_over("phone", second, first))

    def test_started_anew(self) -> None:
        """Who comes once is told to come again, and nobody is alarmed: its old link may not be over yet."""
        self.assertEqual(self.turned(), (FIRST, COME_AGAIN, False))
        self.rivals.settled("laptop")
        self.assertEqual(self.rivals.warnings(self.now), ())
        self.assertEqual(self.turned(1.0), (FIRST, COME_AGAIN, False))

    def test_clone(self) -> None:
        """One that keeps coming is asked to come ever less often, and everybody hears of it, not with every try."""
        waits = [self.turned()[1]]
        self.assertEqual(self.turned(3.0), (CLONED, COME_AGAIN, True))
        self.assertIn("certificate of laptop", "".join(self.rivals.warnings(self.now)))
        self.assertEqual(self.turned(TELL_EVERY - 1)[2], False)
        waits += [self.turned(waits[-1])[1] for _ in range(6)]
        self.assertEqual(waits[-3:], [SELDOM] * 3)
        told = [self.turned(1.0)[2] for _ in range(100)]
        self.assertEqual(sum(told), 10)

    def test_over(self) -> None:
        """When the other one stays away it is forgotten, and the next is the first again."""
        self.turned()
        self.turned(3.0)
        self.assertEqual(len(self.rivals.warnings(self.now + OVER_AFTER)), 1)
        self.assertEqual(self.rivals.warnings(self.now + OVER_AFTER + 1), ())
        self.assertEqual(self.turned(OVER_AFTER + 1)[0], FIRST)

    def test_bounded(self) -> None:
        """However many names are claimed, so many are remembered; each for itself."""
        for number in range(MOST + 10):
            self.turned(name=f"m{number}")
        self.assertEqual(self.turned(name="m9")[0], FIRST)
        self.assertEqual(self.turned(name=f"m{MOST + 9}")[0], CLONED)
