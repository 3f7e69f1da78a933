"""Sessions of browsers."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Refused
from morphnet.rendezvous.home.streams import Stream
from morphnet.roles.home.visits import GRACE, MOST, Visits
from morphnet.wire.messages.home import frames
from morphnet.wire.messages.home.frames import Item, Kind, Resume


class Channel:
    """A data channel that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[frames.Frame] = []

    def send(self, message: bytes) -> None:
        self.sent.append(frames.decode(message))

    def close(self) -> None:
        """It does not mind."""


class Service:
    name = "thing"

    def opened(self, stream: Stream, asked: dict[str, Any]) -> str:
        stream.end()
        return "does a thing"

    def close(self) -> None:
        """Nothing to close."""


class VisitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.ended: list[str] = []
        self.told: list[tuple[str, str]] = []
        self.visits = Visits(self.clock, {"thing": Service()}, self.ended.append)
        self.visits.told = lambda session, text: self.told.append((session, text))

    def come(self, name: str) -> Any:
        channel: Any = Channel()
        visit = self.visits.of(name)
        visit.opened(channel)
        visit.message(channel, frames.encode(Resume(0)))
        return channel

    def test_services(self) -> None:
        """A browser is told what there is; each use is told; what is not there is refused."""
        channel, visit = self.come("a"), self.visits.of("a")
        for number, asked in enumerate((b"{}", b'{"service":"thing"}', b'{"service":"files"}')):
            visit.message(channel, frames.encode(Item(number, number, Kind.OPEN, asked)))
        answers = [(item.kind, item.payload) for item in channel.sent if isinstance(item, Item)]
        self.assertEqual(answers[0], (Kind.SAID, b'{"services":["thing"]}'))
        self.assertEqual(answers[-1], (Kind.RESET, b"that is not offered here"))
        self.assertEqual(self.told, [("a", "does a thing")])

    def test_comes_back(self) -> None:
        """It is the same session, with or without its channel, until the grace is over."""
        channel, visit = self.come("a"), self.visits.of("a")
        visit.closed(channel)
        self.assertEqual(self.visits.linked, 0)
        self.clock.advance(GRACE - 1)
        self.visits.expire()
        self.assertIs(self.visits.of("a"), visit)
        self.clock.advance(2)
        self.visits.expire()
        self.assertEqual((self.ended, len(self.visits)), (["a"], 0))

    def test_many(self) -> None:
        """Of those that are away the oldest makes room; those that are there stay."""
        first = self.come("0")
        self.visits.of("0").closed(first)
        for number in range(1, MOST + 1):
            self.come(str(number))
        self.assertEqual(self.ended, ["0"])
        self.assertRaises(Refused, self.visits.of, "one more")

    def test_broken(self) -> None:
        """A browser that breaks the rules loses its session, and no other."""
        other, channel = self.come("b"), self.come("a")
        self.visits.of("a").message(channel, b"garbage")
        self.assertEqual((self.ended, self.visits.counts["visits_broken"], self.visits.linked), (["a"], 1, 1))
        del other
        self.visits.end()
        self.assertEqual(self.ended, ["a", "b"])
