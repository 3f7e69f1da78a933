"""Whether a socket is open from outside: what a client makes of the server's word and of what comes."""

from __future__ import annotations

import os
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.lone import send_lone
from morphnet.net.pump import Pump
from morphnet.net.udp import UdpDoor
from morphnet.roles.client.openness import PAUSE, WITHIN, Openness
from morphnet.roles.server.trying import Trying
from morphnet.roles.signalling.control_client import Link
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Arrival, Endpoint
from morphnet.wire.messages.control import Signal
from morphnet.wire.messages.trying import Tried, TryPort, datagram_of
from tests.fakes_control import CLIENT_HOST, SERVER_HOST
from tests.net.fakes import FakeReactor
from tests.roles.signalling.test_control_client import ControlTestCase

DOOR, PORT = 7, 4000
FROM = Endpoint("203.0.113.1", 50007)


class FakeLink:
    """To a server."""

    def __init__(self) -> None:
        self.said: list[Signal] = []

    def send(self, signal: Signal) -> None:
        self.said.append(signal)


class OpennessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.link, self._drawn = Clock(), FakeLink(), 0
        self.tunnel = Tunnel(server=False, entropy=self.draw)
        self.openness = Openness(Pump(self.clock, self.tunnel, self.clock.seconds), self.draw)
        self.openness.known = True

    def draw(self, count: int) -> bytes:
        """Bytes that were not drawn before."""
        self._drawn += 1
        return self._drawn.to_bytes(count, "little")

    def ask(self, port: int = PORT, link: FakeLink | None = None) -> Deferred[str]:
        """A question."""
        return self.openness.ask(cast(Link, link or self.link), DOOR, port, self.clock)

    def asked(self) -> TryPort:
        """What the server was asked last."""
        said = self.link.said[-1]
        assert isinstance(said, TryPort)
        return said

    def comes(self, datagram: bytes, door: int = DOOR) -> None:
        """It is in the socket."""
        arrival = Arrival(door, FROM, memoryview(datagram), len(datagram))
        self.tunnel.from_path([arrival], self.clock.seconds())
        self.clock.advance(0.01)

    def wait(self) -> None:
        """Until nobody waits any more."""
        self.clock.pump([WITHIN / 10] * 11)

    def test_open(self) -> None:
        """What the server has sent comes in, before or after its word; then nothing waits for more."""
        answer = self.ask()
        self.assertEqual((len(self.link.said), self.asked().port, len(self.tunnel.extensions)), (1, PORT, 1))
        self.assertNoResult(answer)
        self.comes(datagram_of(self.asked().token))
        self.assertEqual((self.successResultOf(answer), len(self.tunnel.extensions)), ("open", 0))

    def test_closed(self) -> None:
        """The server has sent it, and nothing comes."""
        answer = self.ask()
        self.openness.heard(Tried(self.asked().token, True))
        self.wait()
        self.assertEqual((self.successResultOf(answer), len(self.tunnel.extensions)), ("closed", 0))

    def test_not_known(self) -> None:
        """The server has not sent it, or says nothing."""
        answer = self.ask()
        self.openness.heard(Tried(self.asked().token))
        self.clock.advance(0.01)
        self.assertEqual(self.successResultOf(answer), "unknown")
        self.clock.advance(PAUSE)
        answer = self.ask()
        self.openness.heard(Tried("00" * 16, True))  # of another question
        self.wait()
        self.assertEqual(self.successResultOf(answer), "unknown")

    def test_forged(self) -> None:
        """Neither another's datagram, nor one that begins alike, nor one at another socket is taken for it."""
        answer = self.ask()
        right = datagram_of(self.asked().token)
        self.comes(right[:8] + bytes(8))
        self.comes(right[:8])
        self.comes(right + b"\0")
        self.comes(bytes.fromhex(self.asked().token))
        self.comes(right, DOOR + 1)
        self.openness.heard(Tried(self.asked().token, True))
        self.wait()
        self.assertEqual(self.successResultOf(answer), "closed")

    def test_not_asked(self) -> None:
        """A server that does not heed it, no server at all, or a low port: nothing is sent."""
        self.assertEqual(self.successResultOf(self.ask(1023)), "unknown")
        self.assertEqual(self.successResultOf(self.openness.ask(None, DOOR, PORT, self.clock)), "unknown")
        self.openness.known = False
        self.assertEqual(self.successResultOf(self.ask()), "unknown")
        self.assertEqual((self.link.said, self.tunnel.extensions), ([], {}))

    def test_again(self) -> None:
        """Within PAUSE the last answer holds, of the same port; then the server is asked anew."""
        answer = self.ask()
        self.assertEqual(self.successResultOf(self.ask()), "unknown")  # one is under way
        self.comes(datagram_of(self.asked().token))
        self.assertEqual(self.successResultOf(answer), "open")
        self.assertEqual([self.successResultOf(self.ask(port)) for port in (PORT, 4001)], ["open", "unknown"])
        self.assertEqual(len(self.link.said), 1)
        self.clock.advance(PAUSE)
        self.assertNoResult(self.ask())
        self.assertEqual(len({each.token for each in self.link.said if isinstance(each, TryPort)}), 2)


class SocketTests(SynchronousTestCase):
    def test_open(self) -> None:
        """A datagram of the kernel's, at a socket that the data plane has."""
        clock, link = Clock(), FakeLink()
        pump = Pump(clock, Tunnel(server=False, entropy=os.urandom), clock.seconds)
        door = UdpDoor(FakeReactor(), pump.new_number(), pump.from_door, host="127.0.0.1")
        door.open()
        self.addCleanup(door.close)
        pump.attach(door)
        openness = Openness(pump, os.urandom)
        openness.known = True
        answer = openness.ask(cast(Link, link), door.number, door.local[1], clock)
        (asked,) = link.said
        assert isinstance(asked, TryPort)
        self.assertTrue(send_lone("127.0.0.2", "127.0.0.1", asked.port, datagram_of(asked.token)))
        door.doRead()
        clock.advance(0.01)
        self.assertEqual((self.successResultOf(answer), door.received), ("open", 1))


class TogetherTests(ControlTestCase):
    """Client and server over their control link, in memory."""

    def answer(self, *, leads: bool) -> str:
        """What the client learns where what is sent to PORT of its address leads to its socket, or nowhere."""
        self.connect()
        link = self.client.link
        assert link is not None
        tunnel = Tunnel(server=False, entropy=os.urandom)
        openness = Openness(Pump(self.net, tunnel, self.net.seconds), os.urandom)
        openness.known = True

        def send(local: str, to: str, port: int, datagram: bytes) -> bool:
            self.assertEqual((local, to, port), (SERVER_HOST, CLIENT_HOST, PORT))
            if leads:
                tunnel.from_path([Arrival(DOOR, FROM, memoryview(datagram), len(datagram))], self.net.seconds())
            return True

        answer = openness.ask(link, DOOR, PORT, self.net)
        self.net.settle()
        (asked,) = self.office.signals
        assert isinstance(asked, TryPort)
        trying = Trying(self.net.seconds, send)
        trying.asked(self.office.callers[0], asked)
        self.net.settle()
        ((_, said),) = [each for each in self.listener.heard if each[0] == "signal"]
        assert isinstance(said, Tried)
        openness.heard(said)
        self.net.pass_by(2 * WITHIN, 0.1)
        self.assertEqual((trying.counters()["ports_tried"], tunnel.extensions), (1, {}))
        return self.successResultOf(answer)

    def test_open(self) -> None:
        """A port that leads to the socket."""
        self.assertEqual(self.answer(leads=True), "open")

    def test_closed(self) -> None:
        """One that leads nowhere."""
        self.assertEqual(self.answer(leads=False), "closed")
