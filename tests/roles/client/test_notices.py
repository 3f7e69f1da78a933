"""What others want our operator to know."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.client.notices import LASTS, MOST, Notices


class NoticesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.told = Clock(), list[tuple[str, str]]()
        self.notices = Notices(lambda kind, text: self.told.append((kind, text)), self.clock.seconds)

    def test_lasts(self) -> None:
        """It is a warning as long as it is said again, and for a while afterwards."""
        for _ in range(3):
            self.notices.take("the server says: x")
            self.clock.advance(LASTS - 1)
        self.assertEqual(self.notices.warnings(), ("the server says: x",))
        self.assertEqual(self.told, [("notice", "the server says: x")] * 3)
        self.clock.advance(1)
        self.assertEqual(self.notices.warnings(), ())

    def test_bounded(self) -> None:
        """However much is said, so much is kept."""
        for number in range(100):
            self.notices.take(str(number))
        self.assertEqual(self.notices.warnings(), tuple(str(number) for number in range(100 - MOST, 100)))

    def test_not_reached(self) -> None:
        """Calls that fail are told once for each reason, and again when one was answered in between."""
        for text in ("refused", "refused", "no answer", "no answer"):
            self.notices.not_reached(text)
        self.notices.answered()
        self.notices.not_reached("no answer")
        self.assertEqual([text for _, text in self.told], ["refused", "no answer", "no answer"])

    def test_refused(self) -> None:
        """A refusal is in the history each time, and no warning: the state says it."""
        self.notices.refused("no")
        self.notices.refused("no")
        self.assertEqual((self.told, self.notices.warnings()), ([("refused", "no")] * 2, ()))
