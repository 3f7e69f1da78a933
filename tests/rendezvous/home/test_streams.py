"""Streams that outlive the channel under them."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame, PeerError, Refused
from morphnet.rendezvous.home.streams import MOST_STREAMS, WINDOW, Session, Stream
from morphnet.wire.messages.home import frames
from morphnet.wire.messages.home.frames import Ack, Item, Kind, Ping, Pong, Resume


class Channel:
    """One way of a data channel."""

    def __init__(self) -> None:
        self.sent: list[frames.Frame] = []
        self.closed = False

    def send(self, message: bytes) -> None:
        self.sent.append(frames.decode(message))

    def close(self) -> None:
        self.closed = True


class Echo:
    """Gives back what it gets; keeps what happened."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.got, self.words = stream, b"", list[Any]()

    def received(self, data: bytes) -> None:
        self.got += data
        self.stream.took(len(data))
        self.stream.write(data)

    def said(self, what: dict[str, Any]) -> None:
        self.words.append(what)

    def room(self) -> None:
        self.words.append("room")

    def ended(self) -> None:
        self.stream.end()

    def gone(self) -> None:
        self.words.append("gone")


class StreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.outlets: list[Echo] = []
        self.session = Session(self.clock, self.opened)
        self.number = 0
        self.channel = self.attach(0)

    def opened(self, stream: Stream, asked: dict[str, Any]) -> None:
        if "refuse" in asked:
            raise MalformedFrame(asked["refuse"])
        stream.outlet = Echo(stream)
        self.outlets.append(stream.outlet)

    def attach(self, expected: int) -> Channel:
        channel = Channel()
        self.session.attach(channel)
        self.session.received(channel, frames.encode(Resume(expected)))
        return channel

    def item(self, stream: int, kind: Kind, payload: bytes = b"") -> None:
        self.session.received(self.channel, frames.encode(Item(self.number, stream, kind, payload)))
        self.number += 1

    def open(self, stream: int = 1, **asked: object) -> None:
        self.item(stream, Kind.OPEN, json.dumps(asked).encode())

    def items(self, channel: Channel) -> list[Item]:
        return [frame for frame in channel.sent if isinstance(frame, Item)]

    def test_both_ways(self) -> None:
        """Bytes, words and an end, each once and in order."""
        self.open()
        self.item(1, Kind.BYTES, b"ab")
        self.item(1, Kind.SAID, b'{"rows":24}')
        self.item(1, Kind.END)
        self.assertEqual((self.outlets[0].got, self.outlets[0].words), (b"ab", [{"rows": 24}]))
        told = [(item.kind, item.payload) for item in self.items(self.channel)]
        self.assertEqual(told, [(Kind.BYTES, b"ab"), (Kind.END, b"")])

    def test_cut_anywhere(self) -> None:
        """Whenever the channel is cut, in whatever state of acknowledgement, every byte arrives once, both ways."""
        random = Random(7)
        sent = bytes(random.randrange(256) for _ in range(3000))
        queue = [Item(0, 1, Kind.OPEN, b"{}")]
        queue += [Item(1 + at // 10, 1, Kind.BYTES, sent[at : at + 10]) for at in range(0, len(sent), 10)]
        came: list[Item] = []
        position = 0
        while position < len(queue):
            channel = Channel()
            self.session.attach(channel)
            resume = channel.sent[0]
            assert isinstance(resume, Resume)
            position = resume.number
            self.session.received(channel, frames.encode(Resume(len(came))))
            for item in queue[position : position + random.randrange(1, 60)]:
                self.session.received(channel, frames.encode(item))
                position = item.number + 1
            heard = self.items(channel)[: random.randrange(100)]  # the rest is cut off
            came += [item for item in heard if item.number >= len(came)]
        channel = self.attach(len(came))
        came += self.items(channel)
        self.assertEqual(self.outlets[0].got, sent)
        self.assertEqual([item.number for item in came], list(range(len(came))))
        self.assertEqual(b"".join(item.payload for item in came if item.kind is Kind.BYTES), sent)

    def test_repeated(self) -> None:
        """What comes again is counted; what leaves a gap, or was never sent, ends it."""
        self.open()
        self.number = 0
        self.open()
        self.assertEqual((self.session.repeated, len(self.outlets)), (1, 1))
        gap = frames.encode(Item(5, 1, Kind.END, b""))
        self.assertRaises(PeerError, self.session.received, self.channel, gap)
        self.assertRaises(PeerError, self.session.received, self.channel, frames.encode(Ack(9)))

    def test_forgets_what_arrived(self) -> None:
        """What is acknowledged is not kept, and not sent again."""
        self.open()
        for _ in range(5):
            self.item(1, Kind.BYTES, b"x")
        self.session.received(self.channel, frames.encode(Ack(3)))
        self.assertEqual([item.number for item in self.items(self.attach(4))], [4])

    def test_acknowledges(self) -> None:
        """Some items at once, few after a moment."""
        self.open()
        self.clock.advance(1.0)
        self.assertIn(Ack(1), self.channel.sent)
        for _ in range(20):
            self.item(1, Kind.BYTES, b"x")
        self.assertIn(Ack(17), self.channel.sent)

    def test_old_channel(self) -> None:
        """The next channel closes the last; what still comes over that is not heard."""
        old, self.channel = self.channel, self.attach(0)
        self.assertTrue(old.closed)
        self.session.received(old, b"garbage")
        self.session.detach(old)
        self.assertTrue(self.session.linked)

    def test_window(self) -> None:
        """No more is taken than was granted; credit makes room for what we write."""
        self.open()
        self.outlets[0].stream.took = lambda size: None  # type: ignore[method-assign]
        for at in range(0, WINDOW, frames.LONGEST):
            self.item(1, Kind.BYTES, bytes(min(frames.LONGEST, WINDOW - at)))
        self.assertEqual(self.outlets[0].stream.window, 0)
        self.item(1, Kind.CREDIT, frames.credit(10))
        self.assertEqual((self.outlets[0].stream.window, self.outlets[0].words), (10, ["room"]))
        self.assertRaises(PeerError, self.item, 1, Kind.BYTES, b"x")

    def test_refused(self) -> None:
        """A service that does not want it says why; too many are refused; none is opened twice."""
        self.open(1, refuse="no such thing")
        (item,) = self.items(self.channel)
        self.assertEqual((item.kind, item.payload), (Kind.RESET, b"no such thing"))
        for stream in range(2, MOST_STREAMS + 3):
            self.open(stream)
        self.assertEqual(self.items(self.channel)[-1].payload, b"too many at once")
        self.assertRaises(PeerError, self.open, 2)

    def test_too_long(self) -> None:
        """Words that no item takes are not said: they would end this channel, and each one after it."""
        self.open()
        stream = self.outlets[0].stream
        stream.say({"x": "x" * (frames.LONGEST - 8)})
        self.assertRaises(Refused, stream.say, {"x": "x" * (frames.LONGEST - 7)})
        self.assertEqual([len(item.payload) for item in self.items(self.channel)], [frames.LONGEST])

    def test_end(self) -> None:
        """With the session its streams are gone; a reset ends one."""
        self.open(1)
        self.open(2)
        self.item(1, Kind.RESET)
        self.item(1, Kind.BYTES, b"late")
        self.session.end()
        self.assertEqual([outlet.words for outlet in self.outlets], [["gone"], ["gone"]])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ping(self) -> None:
        """It is answered at once."""
        self.session.received(self.channel, frames.encode(Ping(3)))
        self.assertEqual(self.channel.sent[-1], Pong(3))

    @given(st.lists(st.binary(max_size=40), max_size=5))
    def test_garbage(self, garbage: list[bytes]) -> None:
        """Nothing but a PeerError comes of it."""
        session = Session(Clock(), self.opened)
        channel = Channel()
        session.attach(channel)
        for message in garbage:
            try:
                session.received(channel, message)
            except PeerError:
                return
