"""A peer, its session, and relays that tell what is not so."""

from __future__ import annotations

from typing import cast

from morphnet.config.roles import Tuning
from morphnet.roles.peers.doubt import ANSWER_WITHIN, WORKS_WITHIN
from morphnet.roles.peers.peer import JUST_MADE, NOTHING_TO_TRY, SEARCHES_AT_ONCE, Peer
from morphnet.roles.peers.port_guess import PortGuess
from morphnet.roles.peers.search import DirectSearch
from morphnet.traversal.checks import Checker
from morphnet.tunnel.carrier import RELAYED, STREAM, Carrier
from morphnet.tunnel.events import Effects, Event, Forgotten, Overrun, PathChanged, Reached, WayFound
from morphnet.tunnel.path import State
from morphnet.tunnel.session import Session
from morphnet.wire.batch import Endpoint
from morphnet.wire.candidates import HOST, SERVER_REFLEXIVE, Candidate
from morphnet.wire.messages.relay import CALL, HANDSHAKE, Present
from tests.roles.peers.fakes import FakeIntroduced, FakePorts, FakeRelays, FakeStreams, PlaneTestCase

THIS, OTHER = "1" * 16, "2" * 16  # processes of the peer


class PeerTestCase(PlaneTestCase):
    name, other = "anna", "bert"  # the first of which calls

    def setUp(self) -> None:
        """They have met, and a direct way works."""
        super().setUp()
        self.relays, self.streams = FakeRelays(), FakeStreams()
        for line in self.relays.lines:
            line.number = self.attach(Carrier(RELAYED, line.host)).number
        ports = FakePorts({self.wifi.number: False})
        guess = PortGuess(self.around, self.other, ports, self.courtesy, self.sessions.wake)
        search = DirectSearch(self.around, self.other, self.sessions, ports, guess)
        self.peer = Peer(self.around, self.other, self.sessions, self.relays, search, self.streams)
        self.addCleanup(self.peer.stop)
        self.tell(0, THIS)
        self.session = self.meet(THIS)
        self.direct = self.path(self.session, self.wifi, "198.51.100.6")
        self.happens(self.changed(State.ACTIVE))
        self.hear()
        for each in self.relays.lines:
            each.posted.clear()
        self.wifi.sent.clear()

    def meet(self, instance: str) -> Session:
        """A handshake is complete."""
        introduced = FakeIntroduced(self.other)
        session = self.peer.make_session(introduced, bytes(16), Tuning())
        session.add_ids(self.sessions.issue_ids(session, 8))
        self.peer.met(instance, ())
        return session

    def changed(self, state: State) -> PathChanged:
        """The direct path began that part of its life."""
        self.direct.enter(state, self.clock.seconds())
        return PathChanged(self.other, self.direct.id, "wifi", "", state)

    def happens(self, event: Event) -> None:
        """The data plane tells."""
        self.pump.carry_out(Effects(events=[event]))

    def hear(self) -> None:
        """A datagram has come by the session."""
        assert self.peer.session is not None
        self.peer.session.heard_at = self.clock.seconds()
        self.peer.session.inbound.keys.confirm(1, self.clock.seconds())

    def tell(self, relay: int, instance: str, *candidates: str, number: int = 5) -> None:
        """What a relay says of the peer."""
        self.peer.present(self.relays.lines[relay], Present(number, self.other, instance, candidates))


class LiesTests(PeerTestCase):
    """The one who calls."""

    def test_another_process(self) -> None:
        """What a relay tells ends no session that answers: it is asked by the session, and by a handshake there."""
        for turn in range(3):
            self.tell(1, OTHER, number=turn)
            self.peer.asked_to_call(self.relays.lines[1])
            self.clock.advance(ANSWER_WITHIN / 2)
            self.hear()
            self.clock.advance(ANSWER_WITHIN)
        self.assertIs(self.peer.session, self.session)
        self.assertEqual((self.peer.state, self.relays.lines[0].kinds()), ("direct", []))
        self.assertEqual(set(self.relays.lines[1].kinds()), {HANDSHAKE})
        self.assertTrue(self.wifi.sent)

    def test_is_another_process(self) -> None:
        """A session that does not answer is over, and the peer is met anew."""
        self.tell(0, OTHER, number=6)
        self.clock.advance(ANSWER_WITHIN + 0.1)
        self.assertIsNone(self.peer.session)
        self.assertEqual((self.peer.state, set(self.relays.lines[0].kinds())), ("meeting", {HANDSHAKE}))

    def test_gone_and_back(self) -> None:
        """A relay that says that the peer goes and comes changes nothing for who is reached directly."""
        for number in range(6, 20):
            self.peer.absent(self.relays.lines[0])
            self.tell(0, THIS, number=number)
        self.assertEqual((self.peer.session, self.peer.state), (self.session, "direct"))

    def test_candidates(self) -> None:
        """A relay can tell what it can have seen; while a direct way works, nobody is asked there."""
        self.tell(1, THIS, "line 198.51.100.66 9", "observed 198.51.100.66 53", "varying 198.51.100.66 1",
                  "local 198.51.100.66 7", "stream 198.51.100.66 7", "observed 192.168.1.1 53")  # fmt: skip
        self.assertEqual({str(each) for each in self.peer.candidates()},
                         {"line 198.51.100.66 9", "observed 198.51.100.66 53"})  # fmt: skip
        self.assertFalse(self.courtesy.refused or len(self.courtesy))

    def test_nothing_comes(self) -> None:
        """A session that was made and by which nothing comes is given up, and there is another handshake."""
        self.clock.advance(10.0)
        self.session = self.meet(OTHER)
        self.clock.advance(WORKS_WITHIN - 0.1)
        self.assertIs(self.peer.session, self.session)
        self.clock.advance(0.2)
        self.assertEqual((self.peer.session, self.peer.state), (None, "meeting"))

    def test_searches_without_end(self) -> None:
        """A peer that tells of its addresses again and again has us search some times, then once a second."""
        asked, candidate = self.streams.made.asked, Candidate(SERVER_REFLEXIVE, "198.51.100.6", 9)
        asked.clear()
        for _ in range(100):
            self.happens(Reached(self.other, (candidate,)))
        self.assertEqual(asked, ["search"] * SEARCHES_AT_ONCE)
        self.clock.advance(1.0)
        self.happens(Reached(self.other, ()))
        self.assertEqual((len(asked), self.peer.candidates()), (SEARCHES_AT_ONCE + 1, []))

    def test_restless_relay(self) -> None:
        """While there is a handshake, a relay that shows the peer anew all the time restarts its own one alone."""
        self.peer.forget("for this test")
        self.tell(0, THIS, number=6)
        for number in range(7, 50):
            self.tell(1, THIS, number=number)
        self.assertEqual(self.relays.lines[0].kinds(), [HANDSHAKE])
        self.assertLessEqual(len(self.relays.lines[1].kinds()), 5)


class KeepsTests(PeerTestCase):
    """The one who is called, when a handshake has shown that the peer wants a new session."""

    name, other = "bert", "anna"

    def test_another_process(self) -> None:
        """One of another process, which has shown its certificate, gets it."""
        self.assertEqual(self.peer.keeps(OTHER), "")

    def test_works(self) -> None:
        """The same process does not, while the old session answers; the relay had it begin."""
        self.assertIn("we have a session", self.peer.keeps(THIS))
        self.clock.advance(ANSWER_WITHIN / 2)
        self.hear()
        self.clock.advance(ANSWER_WITHIN)
        self.assertIs(self.peer.session, self.session)

    def test_does_not_work(self) -> None:
        """It does when the old one does not answer."""
        self.peer.keeps(THIS)
        self.clock.advance(ANSWER_WITHIN + 0.1)
        self.assertEqual((self.peer.session, self.peer.keeps(THIS)), (None, ""))

    def test_new(self) -> None:
        """A session by which nothing has come yet is kept for a moment."""
        self.session = self.meet(THIS)
        self.assertIn("just being made", self.peer.keeps(THIS))
        self.clock.advance(JUST_MADE)
        self.assertEqual(self.peer.keeps(THIS), "")

    def test_waits(self) -> None:
        """It calls nobody: what a relay tells makes it ask by the session alone."""
        self.tell(1, OTHER, number=9)
        self.clock.advance(ANSWER_WITHIN / 2)
        self.hear()
        self.clock.advance(ANSWER_WITHIN)
        self.assertEqual((self.peer.session, self.relays.lines[1].kinds()), (self.session, []))
        self.tell(1, OTHER, number=10)
        self.clock.advance(ANSWER_WITHIN + 2.0)
        self.assertEqual((self.peer.session, self.relays.lines[0].kinds()[:1]), (None, [CALL]))


class EventTests(PeerTestCase):
    """What the data plane tells of the session, and what the peer makes of it."""

    def test_direct_ends(self) -> None:
        """When the last direct path falls silent, a stream stands in, and there is a search."""
        self.happens(self.changed(State.SILENT))
        self.assertEqual(self.peer.state, "searching")
        self.assertIn("stand in", self.streams.made.asked)
        self.happens(self.changed(State.ACTIVE))
        self.assertEqual((self.peer.state, self.streams.made.asked[-1]), ("direct", "direct"))

    def test_stream(self) -> None:
        """What happens to a path by a stream is the streams' business, and of no direct path."""
        stream = self.attach(Carrier(STREAM, "tcp"))
        path = self.path(self.session, stream, "198.51.100.6")
        self.happens(PathChanged(self.other, path.id, "tcp", "", State.SILENT))
        self.assertEqual((self.peer.state, self.streams.made.asked[-1]), ("direct", f"path {State.SILENT}"))

    def test_over(self) -> None:
        """A session whose keys are too old, or that is overrun, is forgotten, with all that belonged to it."""
        for event, reason in (
            (Forgotten(self.other), "its keys are too old"),
            (Overrun(self.other, 9), "closed: 9 forged packets"),
        ):
            self.meet(THIS)
            self.happens(event)
            self.assertEqual((self.peer.session, self.tunnel.sessions, self.tunnel.extensions), (None, {}, {}))
            self.assertEqual(self.peer.words, ())
            self.assertIn(reason, [each.why for each in self.peer.decisions][-1])
            self.assertEqual((self.streams.made.asked[-1], self.met[-1]), ("forget", {}))

    def test_found(self) -> None:
        """A check that was answered leads to a path."""
        self.session.close_path(self.direct.id, self.clock.seconds(), Effects())
        self.happens(Reached(self.other, (Candidate(HOST, "198.51.100.9", 9),)))
        ((_, checker),) = self.tunnel.extensions.items()
        (way,) = cast(Checker, checker).pairs.values()
        way.rtt = 0.01
        self.happens(WayFound(self.other, way.door, way.remote, way.kind, way.rtt))
        self.clock.advance(1.0)
        doors = {path.remote for path in self.session.paths.values() if path.door == self.wifi.number}
        self.assertIn(Endpoint("198.51.100.9", 9), doors)

    def test_nothing_to_try(self) -> None:
        """A search that had nothing to try says so, instead of nothing."""
        self.happens(self.changed(State.SILENT))
        self.peer.rest()
        self.assertEqual(self.peer.decisions[-1].why, NOTHING_TO_TRY)

    def test_candidates_are_told(self) -> None:
        """With a search the peer is told where we are, and relays are asked how we are seen."""
        before = len(self.wifi.sent)
        self.peer.search()
        self.assertGreater(len(self.wifi.sent), before)
        self.assertEqual((self.relays.hurried > 0, self.streams.made.asked[-1]), (True, "search"))

    def test_stop(self) -> None:
        """After the end nothing is left: no session, no timer of ours, nobody who listens."""
        self.peer.stop()
        self.pump.stop()
        self.assertEqual((self.tunnel.sessions, self.tunnel.extensions), ({}, {}))
        self.assertEqual(self.streams.made.asked[-1], "stop")
        self.assertEqual([str(call) for call in self.clock.getDelayedCalls()], [])
