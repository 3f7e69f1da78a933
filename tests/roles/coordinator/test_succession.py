"""Where homes go from here."""

from __future__ import annotations

from pathlib import Path

from morphnet.errors import ConfigError
from morphnet.roles.coordinator.succession import ANSWER_WITHIN, FILE, Succession
from morphnet.status import MoveStatus
from morphnet.wire.messages.home.calls import MOST_FALLBACKS, Fallbacks, Move, Moved, Reply
from tests.rendezvous.home.case import HomeTestCase
from tests.wire.messages.home.test_invitation import GOOD


class SuccessionTests(HomeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.state = Path(self.mktemp())
        self.state.mkdir()
        self.told: list[tuple[str, str, str]] = []
        self.heard: list[Move | Fallbacks] = []
        self.home.sent_on = self.heard.append
        self.succession = self.make()

    def make(self) -> Succession:
        return Succession(self.clock, self.registry, self.state, lambda *words: self.told.append(words))

    def name(self, *lines: str) -> None:
        (self.state / FILE).write_text("\n".join(lines))

    def test_move(self) -> None:
        """The home is asked; the operator is told what it says, and so are the events."""
        self.register()
        for trouble, outcome in (("", ((self.key,), ())), ("full", ((), (f"{self.key}: full",)))):
            done = self.succession.move("all", GOOD.line())
            self.wait(0.1)
            self.assertNoResult(done)
            move = self.heard.pop()
            assert isinstance(move, Move)
            self.assertEqual(move.to, GOOD.line())
            self.home.say(Moved(move.number, trouble))
            self.wait(0.1)
            self.assertEqual(self.successResultOf(done), MoveStatus(GOOD.coordinator, *outcome))
        texts = [text for _, _, text in self.told]
        self.assertEqual(texts, ["moved to c.example:3478", "not moved to c.example:3478: full"])

    def test_unanswered(self) -> None:
        """A home that says nothing has stayed, also when the coordinator stops. What comes later is passed over."""
        self.register()
        first, second = (self.succession.move(self.key[:8], GOOD.line()) for _ in "12")
        self.clock.advance(ANSWER_WITHIN)
        self.assertEqual(self.successResultOf(first).stayed, (f"{self.key}: no answer",))
        self.assertEqual(self.successResultOf(second).moved, ())
        third = self.succession.move(self.key, GOOD.line())
        self.succession.end()
        self.assertEqual(self.successResultOf(third).stayed, (f"{self.key}: no answer",))
        self.registry.moved(self.key, Moved(1))
        self.registry.replied(self.key, Reply("0" * 32, ""))

    def test_refused(self) -> None:
        """Homes that are not here, a name that is too short, and what is no invitation."""
        for home, line in (("all", GOOD.line()), (self.key, GOOD.line())):
            self.assertRaises(ConfigError, self.succession.move, home, line)
        self.register()
        for home, line in ((self.key[:7], GOOD.line()), ("nobody-here", GOOD.line()), ("all", "x")):
            self.assertRaises(ConfigError, self.succession.move, home, line)
        self.assertEqual(self.heard, [])

    def test_fallbacks(self) -> None:
        """A home is told when it registers, and when they are others; one that is damaged leaves all as it was."""
        self.name(GOOD.line(), "")
        self.succession = self.make()
        self.registry.came = lambda home, where: self.succession.came(home)
        self.register()
        self.wait(0.1)
        self.assertEqual(self.heard, [Fallbacks((GOOD.line(),))])
        self.assertEqual(self.succession.others, (GOOD,))
        self.succession.read_again()
        for wrong in (["x"], [GOOD.line()] * (MOST_FALLBACKS + 1)):
            self.name(*wrong)
            self.assertRaises(ConfigError, self.succession.read_again)
            self.assertRaises(ConfigError, self.make)
        self.assertEqual(len(self.succession.fallbacks), 1)
        (self.state / FILE).unlink()
        self.succession.read_again()
        self.wait(0.1)
        self.assertEqual(self.heard[1:], [Fallbacks(())])
