"""What of a node's history is in its log."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.eventlog import BURST, EACH, SAY_AGAIN, EventLog
from morphnet.status import Happening


class EventLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.log = EventLog(self.clock.seconds)

    def say(self, *kinds: str, text: str = "it is so", session: str = "") -> list[str]:
        """The lines that come of these."""
        with capturedLogs() as lines:
            for kind in kinds:
                self.log.say(Happening(1, 0.0, kind, session, text))
        self.levels = [each["log_level"] for each in lines]
        self.fields = [(each.get("kind"), each.get("session"), each.get("text")) for each in lines]
        return [formatEvent(each) for each in lines]

    def test_line(self) -> None:
        """One line, with the peer's name first, and the parts of it for a log that programs read."""
        self.assertEqual(self.say("path-silent", session="gw.example"), ["gw.example: it is so"])
        self.assertEqual(self.fields, [("path-silent", "gw.example", "it is so")])
        self.assertEqual(self.levels, [LogLevel.info])

    def test_trouble(self) -> None:
        """What an operator has to see to is a warning."""
        self.assertEqual(self.say("refused", "revoked"), ["it is so"] * 2)
        self.assertEqual(self.levels, [LogLevel.warn] * 2)

    def test_quiet(self) -> None:
        """What happens all the time, and what is said elsewhere, is not said."""
        self.assertEqual(self.say("rekeyed", "path-probing", "path-moved", "host-rival"), [])

    def test_again_and_again(self) -> None:
        """A refusal that comes once a minute is a line in ten minutes; another sentence is one at once."""
        self.assertEqual(len(self.say("refused")), 1)
        for _ in range(9):
            self.clock.advance(SAY_AGAIN / 10)
            self.assertEqual(self.say("refused"), [])
        self.assertEqual(len(self.say("refused", text="other")), 1)
        self.clock.advance(SAY_AGAIN / 10)
        self.assertEqual(len(self.say("refused")), 1)

    def test_crowd(self) -> None:
        """A thousand clients that come at once are some lines and a number."""
        self.assertEqual(len(self.say(*["session-up"] * 1000)), int(BURST))
        self.clock.advance(EACH)
        more = f"{1000 - int(BURST)} more happenings: `morphnet events` has the latest"
        self.assertEqual(self.say("session-up"), [more, "it is so"])
