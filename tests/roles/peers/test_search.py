"""The search for direct paths, and which of the ways that it finds are taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from morphnet.roles.peers.port_guess import PortGuess
from morphnet.roles.peers.search import SETTLE, DirectSearch
from morphnet.traversal.checks import Checker
from morphnet.tunnel.carrier import DIRECT
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import Path, State
from morphnet.wire.batch import Endpoint
from morphnet.wire.candidates import HOST, Candidate
from morphnet.wire.probes import EXPORT_LENGTH, split_probe_export
from tests.fakes_door import FakeDoor
from tests.roles.peers.fakes import FakePorts, PlaneTestCase

HERE, THERE = Candidate(HOST, "198.51.100.6", 9), Candidate(HOST, "198.51.100.7", 9)


class FakeGuess:
    """Notes when ports would be guessed."""

    def __init__(self) -> None:
        self.begun: list[Sequence[Candidate]] = []
        self.renewed = self.ended = 0

    def begin(self, checker: Checker, candidates: Sequence[Candidate]) -> None:
        """Keep for which candidates."""
        self.begun.append(candidates)

    def renew(self) -> None:
        self.renewed += 1

    def end(self) -> None:
        self.ended += 1


class DirectTestCase(PlaneTestCase):
    other = "bert"

    def setUp(self) -> None:
        super().setUp()
        self.sockets, self.guess = FakePorts({self.wifi.number: False, self.lte.number: False}), FakeGuess()
        guess = cast(PortGuess, self.guess)
        self.search = DirectSearch(self.around, self.other, self.sessions, self.sockets, guess)
        self.session, self.keys = self.begin(self.other), split_probe_export(bytes(EXPORT_LENGTH), caller=True)
        self.search.begin(self.session, self.keys)

    @property
    def checker(self) -> Checker:
        """What is searched with."""
        checker = self.tunnel.extensions[self.keys.id]
        assert isinstance(checker, Checker)
        return checker

    def answered(self, door: FakeDoor, candidate: Candidate, rtt: float) -> None:
        """The peer has answered by that way."""
        self.checker.pairs[door.number, candidate.host, candidate.port].rtt = rtt
        self.search.way_found()

    def paths(self) -> dict[str, tuple[int, Endpoint]]:
        """The direct ones by uplink: door and where they lead to."""
        return {
            path.uplink: (path.door, path.remote)
            for path in self.session.paths.values()
            if path.rank == DIRECT and path.state is not State.CLOSED
        }


class LookTests(DirectTestCase):
    def test_all_with_all(self) -> None:
        """Every socket of ours asks every candidate of the peer's."""
        self.search.look([HERE, THERE])
        self.clock.pump([0.01] * 10)
        for door in (self.wifi, self.lte):
            self.assertEqual({each.to.host for each in door.sent}, {HERE.host, THERE.host})

    def test_guess(self) -> None:
        """Ports are guessed as long as there is no direct path."""
        self.search.look([HERE])
        self.path(self.session, self.wifi, HERE.host)
        self.search.look([HERE])
        self.assertEqual(self.guess.begun, [[HERE]])

    def test_rest(self) -> None:
        """What was tried is told in words, and then nobody is asked any more."""
        self.assertEqual(self.search.rest(), "")
        self.search.look([HERE])
        self.clock.pump([0.01] * 10)
        self.assertIn("198.51.100.6:9 (local): no answer", str(self.search.rest()))
        for door in (self.wifi, self.lte):
            door.sent.clear()
        self.clock.pump([0.5] * 10)
        self.assertEqual((self.wifi.sent, self.lte.sent), ([], []))

    def test_new_candidates(self) -> None:
        """A candidate that is heard of during a search is asked as well, and guesses may hit now."""
        self.search.look([HERE])
        self.search.candidates_changed([HERE, THERE])
        self.assertEqual((len(self.checker.pairs), self.guess.renewed), (4, 1))

    def test_no_session(self) -> None:
        """Without a session nothing is looked for, and there is nothing to tell."""
        self.search.end()
        self.search.look([HERE])
        self.search.candidates_changed([HERE])
        self.search.sockets_changed([HERE])
        self.assertEqual((self.search.rest(), self.search.paths(), self.guess.begun), (None, [], []))
        self.assertEqual(self.tunnel.extensions, {})

    def test_sockets_gone(self) -> None:
        """A path by a socket that is gone is silent at once, and another one is left alone."""
        gone, there = self.path(self.session, self.wifi, HERE.host), self.path(self.session, self.lte, HERE.host)
        del self.sockets.families[self.wifi.number]
        self.search.sockets_changed([HERE])
        self.assertEqual((gone.state, there.state, self.search.paths()), (State.SILENT, State.ACTIVE, [there]))


class ChoiceTests(DirectTestCase):
    """anna calls: she chooses."""

    def setUp(self) -> None:
        super().setUp()
        self.search.look([HERE, THERE])

    def test_best_of_each_uplink(self) -> None:
        """After a moment, in which a better answer may come, each uplink gets a path by its quickest way."""
        self.answered(self.wifi, HERE, 0.05)
        self.clock.advance(SETTLE / 2)
        self.assertEqual(self.paths(), {})
        self.answered(self.wifi, THERE, 0.02)
        self.answered(self.lte, HERE, 0.09)
        self.clock.advance(SETTLE)
        wifi, lte = (self.wifi.number, Endpoint(*THERE[1:])), (self.lte.number, Endpoint(*HERE[1:]))
        self.assertEqual(self.paths(), {"wifi": wifi, "lte": lte})

    def known(self, rtt: float) -> Path:
        """A path by wifi that works."""
        path = self.path(self.session, self.wifi, HERE.host)
        path.rtt.add(rtt, now=self.clock.seconds())
        return path

    def test_moves_for_much(self) -> None:
        """A path that works is moved to a way that is much quicker, and not to one that is a little quicker."""
        for rtt, expected in ((0.08, HERE), (0.06, THERE)):
            path = self.known(0.1)
            self.answered(self.wifi, THERE, rtt)
            self.clock.advance(SETTLE)
            self.assertEqual(path.remote.host, expected.host)
            self.session.close_path(path.id, self.clock.seconds(), Effects())

    def test_leaving(self) -> None:
        """A path by a socket that will be closed moves, whatever it costs."""
        path = self.known(0.01)
        self.sockets.leaving = {self.wifi.number}
        self.answered(self.wifi, THERE, 0.5)
        self.clock.advance(SETTLE)
        self.assertEqual(path.remote.host, THERE.host)

    def test_stop(self) -> None:
        """What would be chosen in a moment is not chosen after the end."""
        self.answered(self.wifi, HERE, 0.05)
        self.search.stop()
        self.clock.advance(SETTLE)
        self.assertEqual((self.paths(), self.guess.ended), ({}, 1))


class CalledTests(DirectTestCase):
    """bert is called: anna chooses."""

    name, other = "bert", "anna"

    def test_opens_nothing(self) -> None:
        """Whatever is found, it opens no path."""
        self.search.look([HERE])
        self.answered(self.wifi, HERE, 0.05)
        self.clock.advance(1.0)
        self.assertEqual(self.paths(), {})

    def test_moves_what_must(self) -> None:
        """A path by a socket of its own that will be closed it moves itself, and opens none by another uplink."""
        path = self.path(self.session, self.wifi, HERE.host)
        self.sockets.leaving = {self.wifi.number}
        self.search.look([THERE])
        self.answered(self.wifi, THERE, 0.5)
        self.answered(self.lte, THERE, 0.1)
        self.clock.advance(SETTLE)
        self.assertEqual((path.remote.host, set(self.paths())), (THERE.host, {"wifi"}))
