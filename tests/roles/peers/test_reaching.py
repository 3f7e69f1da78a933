"""One peer reached by TCP, over a caller that only notes what it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from twisted.internet.defer import Deferred

from morphnet.net.ondevice import Source
from morphnet.net.peer_stream import PeerStream
from morphnet.roles.peers.reaching import ENOUGH, MOST_CALLS, MOST_HELD, PATIENCE, REST, STAGGER, Reaching, Way
from morphnet.tunnel.carrier import STREAM, Carrier
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.session import Session
from morphnet.wire.batch import Endpoint
from morphnet.wire.candidates import LINE, SERVER_REFLEXIVE, Candidate
from morphnet.wire.candidates import STREAM as STREAM_CANDIDATE
from tests.roles.peers.fakes import PlaneTestCase

HERE = Source("wifi", "192.168.1.2")


class FakeMeeting:
    """Half way."""

    def __init__(self) -> None:
        self.on = True

    def start(self, within: float) -> None:
        """Nothing to do: it is on from the first."""

    def stop(self) -> None:
        self.on = False


class FakeStream:
    """A stream that is open."""

    def __init__(self, number: int) -> None:
        self.number, self.received, self.ended, self.proving = number, 0, "", 0.0

    def __str__(self) -> str:
        return f"tcp {self.number}"

    def send(self, departures: Sequence[object]) -> None:
        """What is sent goes nowhere."""

    def prove(self, within: float) -> None:
        self.proving = within

    def end(self, reason: str) -> None:
        self.ended = reason

    drop = end


class FakeCaller:
    """Notes who is called."""

    def __init__(self) -> None:
        self.patience: float | None = PATIENCE
        self.called: list[tuple[Endpoint, Deferred[None]]] = []
        self.cancelled = 0
        self.meetings: list[FakeMeeting] = []
        self.attached: list[int] = []
        self.left: list[Reaching] = []

    def begin(self) -> float | None:
        """For the test to say; PATIENCE until it does."""
        return self.patience

    def ways(self, candidates: Sequence[Candidate]) -> list[Way]:
        """From one address of ours to each of these."""
        return [Way(HERE, 4711, Endpoint(candidate.host, candidate.port)) for candidate in candidates]

    def call(self, way: Way, peer: str) -> Deferred[None] | None:
        """Note whom; it ends when the test fires it, or when it is cancelled, which is counted."""

        def cancelled(call: Deferred[None]) -> None:
            self.cancelled += 1
            call.callback(None)

        call: Deferred[None] = Deferred(cancelled)
        self.called.append((way.there, call))
        return call

    def meet(self, way: Way, peer: str, *, caller: bool) -> FakeMeeting | None:
        """A new one each time; all are kept."""
        self.meetings.append(FakeMeeting())
        return self.meetings[-1]

    def attach(self, stream: PeerStream) -> None:
        self.attached.append(stream.number)

    def detach(self, stream: PeerStream) -> None:
        self.attached.remove(stream.number)

    def leave(self, reaching: Reaching) -> None:
        self.left.append(reaching)


class FakePeer:
    """With whom there is a session."""

    def __init__(self, case: ReachingTestCase) -> None:
        self.name, self.caller = case.other, case.around.ourselves.calls(case.other)
        self.session: Session | None = case.begin(case.other)
        self.where = [Candidate(STREAM_CANDIDATE, "198.51.100.6", 9), Candidate(SERVER_REFLEXIVE, "198.51.100.6", 10)]
        self.direct: list[Path] = []
        self.told: list[str] = []

    def candidates(self) -> Sequence[Candidate]:
        """Two on one host, until a test says otherwise."""
        return self.where

    def direct_paths(self) -> Sequence[Path]:
        """None, until a test says otherwise."""
        return self.direct

    def streamed(self, way: str) -> None:
        self.told.append(way)

    def cut(self) -> None:
        self.told.append("cut")


class ReachingTestCase(PlaneTestCase):
    other = "bert"

    def setUp(self) -> None:
        super().setUp()
        self.peer, self.caller = FakePeer(self), FakeCaller()
        self.reaching = Reaching(self.around, self.peer, self.sessions, self.caller)

    def pass_by(self, seconds: float) -> None:
        """In small steps."""
        self.clock.pump([0.05] * round(seconds / 0.05 + 1))

    def open(self) -> FakeStream:
        """One more stream."""
        door = self.attach(Carrier(STREAM, "tcp"))
        stream = FakeStream(door.number)
        self.reaching.opened(cast(PeerStream, stream))
        return stream

    def by_stream(self) -> list[Path]:
        """Paths of that rank."""
        return [path for path in self.session().paths.values() if path.rank == STREAM]

    def session(self) -> Session:
        """That with the peer."""
        assert self.peer.session is not None
        return self.peer.session


class AttemptTests(ReachingTestCase):
    def test_after_patience(self) -> None:
        """UDP has its time first; then those candidates are called where the peer listens for TCP."""
        self.reaching.search()
        self.pass_by(PATIENCE - 0.1)
        self.assertEqual(self.caller.called, [])
        self.pass_by(0.1)
        self.assertEqual([there for there, _ in self.caller.called], [Endpoint("198.51.100.6", 9)])
        self.assertEqual(self.caller.meetings, [])

    def test_off(self) -> None:
        """Where there shall be no streams nobody is called."""
        self.caller.patience = None
        self.reaching.search()
        self.pass_by(10.0)
        self.assertEqual(self.caller.called, [])

    def test_meets(self) -> None:
        """A candidate where a relay sees the peer's line is met half way as well."""
        self.peer.where.append(Candidate(LINE, "198.51.100.6", 555))
        self.reaching.search()
        self.pass_by(PATIENCE)
        self.assertEqual((len(self.caller.meetings), len(self.caller.called)), (1, 1))

    def test_bounded(self) -> None:
        """So many calls of one attempt and no more, one after the other."""
        self.peer.where = [Candidate(STREAM_CANDIDATE, f"198.51.100.{host}", 9) for host in range(1, 50)]
        self.reaching.search()
        self.pass_by(PATIENCE)
        self.assertEqual(len(self.caller.called), 1)
        self.pass_by(STAGGER * 50)
        self.assertEqual(len(self.caller.called), MOST_CALLS)

    def test_rest(self) -> None:
        """Searches that follow one another lead to no more than one attempt in a while."""
        for _ in range(round(4 * REST / 0.5)):
            self.reaching.search()
            self.pass_by(0.45)
        self.assertLessEqual(len(self.caller.called), 5)
        self.assertGreaterEqual(len(self.caller.called), 3)

    def test_direct_meanwhile(self) -> None:
        """When UDP passes the attempt ends, with calls and meetings."""
        self.peer.where.append(Candidate(LINE, "198.51.100.6", 555))
        self.reaching.search()
        self.pass_by(PATIENCE)
        self.reaching.direct()
        self.assertEqual((self.caller.cancelled, self.caller.meetings[0].on), (1, False))


class OpenedTests(ReachingTestCase):
    """anna calls: she opens the path, and chooses."""

    def test_path(self) -> None:
        """A stream is a door, and carries a path."""
        stream = self.open()
        (path,) = self.by_stream()
        self.assertEqual((path.door, path.uplink, path.remote), (stream.number, str(stream), Endpoint("bert", 0)))
        self.assertEqual((self.caller.attached, self.history.kinds()), ([stream.number], ["stream-up"]))

    def test_one_is_enough(self) -> None:
        """A second one is ended, and so is one that is opened when UDP passes."""
        self.open()
        self.assertEqual(self.open().ended, "there is a way already")
        self.reaching.forget()
        self.peer.direct = [self.path(self.session(), self.wifi, "198.51.100.6")]
        self.assertEqual(self.open().ended, "there is a way already")

    def test_no_session(self) -> None:
        """Without a session a stream is of no use."""
        self.peer.session = None
        self.assertEqual(self.open().ended, "no session with it")

    def test_lost(self) -> None:
        """One that is gone is no door and has no path; after a rest there is another attempt."""
        stream = self.open()
        self.reaching.lost(cast(PeerStream, stream), "pulled out")
        self.reaching.lost(cast(PeerStream, stream), "pulled out")
        self.assertEqual(([path.state for path in self.by_stream()], self.caller.attached), ([State.CLOSED], []))
        self.assertEqual(self.history.kinds(), ["stream-up", "stream-gone"])
        self.pass_by(PATIENCE)
        self.assertEqual(len(self.caller.called), 1)

    def test_stands_in(self) -> None:
        """As long as its path works the peer is reached by it; when that falls silent TCP has to show life."""
        stream = self.open()
        (path,) = self.by_stream()
        path.enter(State.ACTIVE, self.clock.seconds())
        self.reaching.path_changed(path, State.ACTIVE)
        path.enter(State.SILENT, self.clock.seconds())
        self.reaching.path_changed(path, State.SILENT)
        self.assertEqual((self.peer.told, stream.proving > 0), ([str(stream), "cut"], True))

    def test_needless(self) -> None:
        """When UDP has worked for a minute the stream is ended, and not while UDP comes and goes."""
        stream = self.open()
        self.peer.direct = [self.path(self.session(), self.wifi, "198.51.100.6")]
        self.reaching.direct()
        self.peer.direct, before = [], self.peer.direct
        self.clock.advance(ENOUGH)
        self.assertEqual(stream.ended, "")
        self.peer.direct = before
        self.reaching.direct()
        self.clock.advance(ENOUGH)
        self.assertEqual(stream.ended, "UDP passes")

    def test_forget(self) -> None:
        """With the session everything ends, and the next one need not rest."""
        stream = self.open()
        self.reaching.forget()
        self.assertEqual((stream.ended, self.caller.attached, self.reaching.streams), ("no session any more", [], {}))
        self.reaching.search()
        self.pass_by(PATIENCE)
        self.assertEqual(len(self.caller.called), 1)
        self.reaching.stop()
        self.assertEqual(self.caller.left, [self.reaching])


class CalledTests(ReachingTestCase):
    """bert is called: anna chooses among his streams."""

    name, other = "bert", "anna"

    def test_holds_few(self) -> None:
        """It holds a few, opens no path, and drops those that nothing has come by before it drops others."""
        first = self.open()
        first.received = 1
        for _ in range(2 * MOST_HELD):
            self.open()
            for stream in [each for each in self.reaching.streams.values() if cast(FakeStream, each).ended]:
                self.reaching.lost(stream, "made room")
        self.assertEqual((self.by_stream(), len(self.reaching.streams), first.ended), ([], MOST_HELD, ""))
