"""When our client calls an original server."""

from __future__ import annotations

import random
from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.legacy.caller import FIRST_WAIT, HEARTBEAT_EVERY, LONGEST_WAIT, PATIENCE, Caller, draw
from morphnet.legacy.control import (
    CONNECTED,
    FULL,
    INACTIVITY,
    RECONNECTED,
    Answer,
    read_handshake,
    write_answer,
)
from morphnet.legacy.session import Session
from morphnet.wire.batch import Endpoint
from tests.legacy.test_control import KEY
from tests.legacy.test_session import HOME

CONTROL = Endpoint("203.0.113.1", 12301)


class CallerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.drawn = draw("anna", random.Random(1).randbytes)
        self.caller = Caller(KEY, self.drawn, random.Random(2).randbytes)

    def answer(self, now: float, status: str = CONNECTED, port: int = 40000) -> None:
        """The server answers."""
        sealed = KEY.seal(write_answer(Answer(port, self.drawn.client, status)))
        self.caller.answered(sealed, CONTROL, now=now)

    def calls(self, begin: float, end: float) -> list[float]:
        """When it calls, looked at every half second."""
        moments = [begin + at / 2 for at in range(int((end - begin) * 2))]
        return [now for now in moments if self.caller.call(now=now) is not None]

    def test_drawn(self) -> None:
        """What is drawn is a handshake, another one each time; all templates come up."""
        chance = random.Random(5).randbytes
        many = [draw("anna", chance) for _ in range(100)]
        self.assertEqual({each.template for each in many}, {1, 2, 3})
        self.assertEqual(len({each.client for each in many}), 100)
        sealed = self.caller.call(now=0.0)
        assert sealed is not None
        self.assertEqual(read_handshake(KEY.open(sealed)), self.drawn)

    def test_until_answered(self) -> None:
        """It calls until there is an answer, ever more slowly, and less often than ten times a minute."""
        moments = self.calls(0.0, 600.0)
        gaps = [after - before for before, after in pairwise(moments)]
        self.assertEqual((moments[0], gaps[0], gaps[-1]), (0.0, FIRST_WAIT, LONGEST_WAIT))
        self.answer(600.0)
        self.assertEqual((self.calls(601.0, 2000.0), self.caller.state), ([], "connected"))

    def test_idle(self) -> None:
        """An idle session is kept for hours: heartbeats, and no new identity."""
        self.answer(0.0)
        beats = [now for now in range(3600) if self.caller.heartbeat(now=float(now), millis=0) is not None]
        self.assertEqual((self.calls(1.0, 3600.0), len(beats)), ([], 3600 // HEARTBEAT_EVERY - 1))

    def test_nothing_back(self) -> None:
        """When something was sent and nothing comes back it calls with the same id, until something does."""
        self.answer(0.0)
        self.assertEqual(len(self.caller.send(b"text", 4, now=100.0, millis=0)), 1)
        moments = self.calls(100.0, 130.0)
        self.assertEqual(moments[0], 100.0 + PATIENCE + 0.5)
        self.assertGreater(len(moments), 1)
        self.answer(130.0, RECONNECTED)
        self.assertEqual(self.calls(131.0, 200.0), [])

    def test_something_back(self) -> None:
        """Whoever is answered does not call."""
        self.answer(0.0)
        server = Session(self.drawn, HOME, random.Random(3).randbytes, now=0.0)
        place = CONTROL._replace(port=40000)
        for now in range(100, 200):
            texts = server.receive(HOME, self.caller.send(b"text", 4, now=now, millis=0), now=now)
            back = server.send(texts[0], 4, now=now, millis=0)
            self.assertEqual(self.caller.receive(place, back, now=now + 0.1), [b"text"])
            self.assertIsNone(self.caller.call(now=now + 0.5))
        self.assertEqual(self.caller.receive(HOME, back, now=200.0), [])

    def test_server_restarted(self) -> None:
        """It has another port for us, and knows no numbers."""
        self.answer(0.0)
        self.caller.send(b"text", 4, now=1.0, millis=0)
        self.answer(9.0, CONNECTED, 40001)
        server = Session(self.drawn, HOME, random.Random(3).randbytes, now=0.0)
        sent = self.caller.send(b"more", 4, now=10.0, millis=0)
        self.assertEqual(server.receive(Endpoint("198.51.100.1", 1), sent, now=10.0), [b"more"])
        assert self.caller.session is not None
        self.assertEqual(self.caller.session.peer.port, 40001)

    def test_ended(self) -> None:
        """A server that ends the session, or has no room, is called again; nothing is sent meanwhile."""
        for word, later in ((INACTIVITY, 1000.0), (FULL, 2000.0)):
            self.answer(0.0)
            self.caller.answered(KEY.seal(word), CONTROL, now=50.0)
            self.assertEqual(self.caller.send(b"text", 4, now=51.0, millis=0), [])
            self.assertIsNone(self.caller.heartbeat(now=500.0, millis=0))
            self.assertEqual(len(self.calls(later, later + 1)), 1)

    def test_strays(self) -> None:
        """What killed the original's client changes nothing: garbage, and an answer for somebody else."""
        self.answer(0.0)
        other = KEY.seal(write_answer(Answer(1, bytes(16), CONNECTED)))
        for stray in (b"", b"garbage", b"AAAA", b"A" * 24, KEY.seal("nonsense"), other):
            self.assertRaises(MalformedFrame, self.caller.answered, stray, CONTROL, now=1.0)
        assert self.caller.session is not None
        self.assertEqual(self.caller.session.peer.port, 40000)
