"""Which shapes are tried and kept, on networks that let some of them through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.ladder import (
    FIRST_REST,
    HOLD_OFF,
    LEAST_WAIT,
    PROOF,
    PROOF_FOR,
    SEARCH,
    SETTLE,
    STAGGER,
    TRIAL,
    Ladder,
    Phase,
    Seen,
)

RUNGS = ("plain", "masked", "quic")
EVERY, STEP, LONG_STEP = 600.0, 0.1, 0.5
SLACK = 1.0  # seconds: steps, and answers that take their time
NOTHING, ALL = frozenset[str](), frozenset(RUNGS)


@dataclass
class Socket:
    """One opening of a rung."""

    opened_at: float
    works: bool = False
    since: float = 0.0
    carried: int = 0


@dataclass
class Network:
    """Lets some rungs through, each socket up to so many bytes; and a ladder on it, looked at ten times a second."""

    passes: frozenset[str] = ALL
    most: dict[str, int] = field(default_factory=dict)  # bytes by one socket, where that is bounded
    rtt: float = 0.05
    rate: int = 20_000  # bytes a second by each that works
    home: str = ""
    stream: bool = True
    now: float = 0.0
    every: float = EVERY

    def __post_init__(self) -> None:
        self.ladder = Ladder(RUNGS, self.every, lambda: 1.0, self.now, self.home)
        self.sockets: dict[tuple[str, int], Socket] = {}

    def seen(self) -> Mapping[str, Seen]:
        """As a data plane would tell it."""
        found = {}
        for rung, opening in self.ladder.open.items():
            socket = self.sockets.get((rung, opening))
            if socket is not None:
                found[rung] = Seen(socket.works, socket.since, socket.carried)
        return found

    def run(self, seconds: float) -> Network:
        """Let time pass."""
        step = STEP if seconds <= 60.0 else LONG_STEP
        for _ in range(round(seconds / step)):
            self.now += step
            self._move(step)
            before = self.seen()
            self.ladder.look(
                before, self.now, otherwise=self.stream and not any(each.works for each in before.values())
            )
            self._check(before)
        return self

    def _move(self, step: float) -> None:
        for rung, opening in self.ladder.open.items():
            if (rung, opening) not in self.sockets:
                self.sockets[rung, opening] = Socket(self.now, since=self.now)
        for (rung, opening), socket in list(self.sockets.items()):
            if self.ladder.open.get(rung) != opening:
                del self.sockets[rung, opening]
                continue
            through = rung in self.passes and socket.carried < self.most.get(rung, 1 << 60)
            works = through and self.now - socket.opened_at >= self.rtt
            if works != socket.works:
                socket.works, socket.since = works, self.now
            socket.carried += round(self.rate * step) * works

    def _check(self, before: Mapping[str, Seen]) -> None:
        """Something is open at any time, and what works is not closed unless another one works."""
        ladder, working = self.ladder, {rung for rung, how in before.items() if how.works}
        assert ladder.open, "nothing is open"
        assert ladder.home in RUNGS
        assert not working or working & set(ladder.open), (working, ladder.open)

    @property
    def openings(self) -> int:
        """How many sockets there have been."""
        return self.ladder._openings

    @property
    def stands(self) -> tuple[Phase, str, list[str]]:
        """The phase, the one in use, and all that are open."""
        return self.ladder.phase, self.ladder.home, sorted(self.ladder.open)


class SearchTests(SynchronousTestCase):
    def test_free(self) -> None:
        """Where the cheapest passes nothing else is opened, and nothing is tried later."""
        network = Network().run(1.0).run(2 * EVERY)
        self.assertEqual((network.stands, network.openings), ((Phase.HOLDING, "plain", ["plain"]), 1))

    def test_soon(self) -> None:
        """The next rung is open a STAGGER later, and in use as soon as it answers; taken once it has SETTLEd."""
        network = Network(frozenset({"masked"})).run(STAGGER + 0.3)
        self.assertEqual((network.ladder.phase, network.seen()["masked"].works), (Phase.SEARCHING, True))
        self.assertEqual(network.run(SETTLE + SLACK).stands, (Phase.HOLDING, "masked", ["masked"]))

    def test_far(self) -> None:
        """On a slow way the cheapest is taken all the same: the others do not answer any sooner."""
        self.assertEqual(Network(rtt=1.5).run(4.0).stands, (Phase.HOLDING, "plain", ["plain"]))

    def test_remembered(self) -> None:
        """What worked here the last time is opened first; the cheaper ones are tried at once as well."""
        network = Network(frozenset({"quic"}), home="quic")
        self.assertEqual(list(network.ladder.open), ["quic"])
        self.assertEqual(network.run(STAGGER + SLACK + SETTLE).stands, (Phase.HOLDING, "quic", ["quic"]))
        self.assertEqual(Network(home="quic").run(1.0).stands, (Phase.HOLDING, "plain", ["plain"]))
        self.assertEqual(Network(home="of another version").ladder.home, "plain")

    def test_nothing(self) -> None:
        """Where nothing passes one is left open, and all are tried again, ever less often, by other sockets."""
        network = Network(NOTHING).run(SEARCH + SLACK)
        self.assertEqual(network.stands, (Phase.RESTING, "plain", ["plain"]))
        first = network.openings
        network.run(FIRST_REST + SLACK)
        self.assertGreaterEqual(network.openings, first + 2)
        network.run(3600.0)
        self.assertLess(network.openings, 60)

    def test_answers_late(self) -> None:
        """The one that was left open is taken as soon as it answers."""
        network = Network(NOTHING).run(SEARCH + SLACK)
        network.passes = ALL
        self.assertEqual(network.run(2 * STEP).stands, (Phase.HOLDING, "plain", ["plain"]))


class HoldTests(SynchronousTestCase):
    def test_blip(self) -> None:
        """A short silence opens nothing; a longer one opens others, and they are closed when it is over."""
        network = Network().run(5.0)
        network.passes = NOTHING
        self.assertEqual(network.run(HOLD_OFF - STEP).stands, (Phase.HOLDING, "plain", ["plain"]))
        self.assertEqual(network.run(1.0).ladder.phase, Phase.SEARCHING)
        network.passes = ALL
        self.assertEqual(network.run(3 * STEP).stands, (Phase.HOLDING, "plain", ["plain"]))

    def test_begins_to_censor(self) -> None:
        """Whatever is in use ends: the next that passes is in use, and the first one is tried again in time."""
        network = Network().run(5.0)
        network.passes = frozenset({"quic"})
        self.assertEqual(network.run(4.0).stands, (Phase.HOLDING, "quic", ["quic"]))
        network.passes = ALL
        network.run(EVERY + TRIAL + PROOF / network.rate + SLACK)
        self.assertEqual(network.stands, (Phase.HOLDING, "plain", ["plain"]))

    def test_up(self) -> None:
        """A trial opens the cheaper one beside; the old one goes when the new one has carried enough, or for long."""
        for rate, patience in ((20_000, PROOF / 20_000), (0, PROOF_FOR)):
            network = Network(frozenset({"masked"}), rate=rate).run(5.0)
            network.passes = ALL
            network.run(EVERY - 5.0)
            until = 0.0
            while network.ladder.phase is not Phase.TRYING:
                network.run(STEP)
                until += STEP
            self.assertEqual(network.stands, (Phase.TRYING, "masked", ["masked", "plain"]))
            self.assertLess(until, 10.0)
            self.assertEqual(network.run(patience - 0.5).stands[2], ["masked", "plain"])
            self.assertEqual(network.run(1.5).stands, (Phase.HOLDING, "plain", ["plain"]))

    def test_tried_in_vain(self) -> None:
        """A cheaper one that does not answer is closed; so many times an hour, not more."""
        network = Network(frozenset({"quic"})).run(4.0)
        before = network.openings
        network.run(3600.0)
        self.assertEqual(network.stands, (Phase.HOLDING, "quic", ["quic"]))
        self.assertEqual(network.openings - before, 2 * (3600 // round(EVERY + 2 * TRIAL)))

    def test_random(self) -> None:
        """The next trial is never at a regular time."""
        for chance, wait in ((0.0, LEAST_WAIT * EVERY), (1.0, EVERY)):
            ladder = Ladder(RUNGS, EVERY, lambda chance=chance: chance, 0.0, "masked")  # type: ignore[misc]
            works = {"masked": Seen(True, -SETTLE)}
            for at in (0.1, wait):
                ladder.look(works, at)
                self.assertEqual(ladder.phase, Phase.HOLDING)
            ladder.look(works, wait + 0.2)
            self.assertEqual((ladder.phase, set(ladder.open)), (Phase.TRYING, {"masked", "plain"}))


class FrozenTests(SynchronousTestCase):
    def test_freezes(self) -> None:
        """Where each flow ends after 20 KB no shape is of use: the stream is, and they are tried ever less often."""
        network = Network(most=dict.fromkeys(RUNGS, 20_000)).run(40.0)
        self.assertEqual(network.ladder.phase, Phase.RESTING)
        before = network.openings
        self.assertLessEqual(before, 6)
        network.run(7200.0)
        self.assertLess(network.openings - before, 40)

    def test_one_freezes(self) -> None:
        """One that is stopped after a while is left out: the next one is kept."""
        network = Network(most={"plain": 20_000}).run(10.0)
        self.assertEqual(network.stands, (Phase.HOLDING, "masked", ["masked"]))
        self.assertEqual(network.run(EVERY / 2).openings, 3)
        network.passes = frozenset({"plain", "quic"})
        self.assertEqual(network.run(5.0).stands, (Phase.HOLDING, "quic", ["quic"]))
        self.assertEqual(network.openings, 4)

    def test_trial_freezes(self) -> None:
        """A trial that is stopped costs nothing: the old one is open all the while."""
        network = Network(frozenset({"masked"})).run(5.0)
        network.passes, network.most = ALL, {"plain": 20_000}
        network.run(EVERY + SLACK + 2.0)
        self.assertEqual(network.stands, (Phase.HOLDING, "masked", ["masked"]))

    def test_outage(self) -> None:
        """An uplink that carries nothing for a while says nothing of shapes: all is as before when it is back."""
        network = Network(stream=False).run(5.0)
        network.passes = NOTHING
        network.run(30.0)
        network.passes = ALL
        self.assertEqual(network.run(FIRST_REST + SLACK).stands, (Phase.HOLDING, "plain", ["plain"]))


class MatrixTests(SynchronousTestCase):
    def test_all(self) -> None:
        """What follows in each phase from each thing that may be seen, after a moment and after a long time."""
        works, silent = Seen(True, 0.0, PROOF), Seen(False, 0.0)
        searching, holding, trying, resting = Phase
        for phase, home, trial, soon, late in (
            (searching, works, None, holding, holding),
            (searching, silent, None, searching, searching),
            (searching, None, None, searching, searching),
            (holding, works, None, holding, trying),
            (holding, silent, None, searching, searching),
            (trying, works, works, holding, holding),
            (trying, works, silent, trying, holding),
            (trying, works, None, trying, holding),
            (trying, silent, works, searching, searching),
            (trying, silent, silent, searching, searching),
            (resting, works, None, holding, holding),
            (resting, silent, None, resting, searching),
            (resting, None, None, resting, searching),
        ):
            for now, after in ((1000.0, soon), (1000.0 + 2 * EVERY, late)):
                ladder = self.at(phase)
                seen = {"masked": home, "plain": trial}
                ladder.look({rung: how for rung, how in seen.items() if how is not None}, now)
                self.assertEqual(ladder.phase, after, (phase, home, trial, now))
                self.assertIn(ladder.home, ladder.open)

    def at(self, phase: Phase) -> Ladder:
        """One of two rungs in that phase since 1000 s, with `masked` in use."""
        ladder = Ladder(RUNGS[:2], EVERY, lambda: 1.0, 999.0, "masked")
        if phase is Phase.SEARCHING:
            return ladder
        ladder.look({"masked": Seen(True, 0.0)}, 999.1)
        if phase is Phase.TRYING:
            ladder.look({"masked": Seen(True, 0.0)}, 1000.0 + EVERY)
            ladder._opened_at["plain"] = 1000.0
        elif phase is Phase.RESTING:
            for now in (999.5, 999.6, 1000.0, 1000.0 + SEARCH):
                ladder.look({"masked": Seen(False, 0.0)}, now)
        self.assertEqual(ladder.phase, phase)
        return ladder


STATES = st.tuples(
    st.frozensets(st.sampled_from(RUNGS)),
    st.dictionaries(st.sampled_from(RUNGS), st.integers(1, 100_000)),
    st.floats(0.0, 40.0),
)


class PropertyTests(SynchronousTestCase):
    @settings(max_examples=30, deadline=None)
    @given(st.lists(STATES, max_size=5), st.sampled_from(["", *RUNGS]), st.sampled_from(sorted(ALL)))
    def test_ends_well(self, past: list[tuple[frozenset[str], dict[str, int], float]], home: str, last: str) -> None:
        """
        Whatever a network has done: when it lets one rung through from now on, that one is in use within a search and a
        rest; and what works is never closed for nothing, see `Network`.
        """
        network = Network(home=home, every=20.0)
        for network.passes, network.most, seconds in past:
            network.run(seconds)
        network.passes, network.most = frozenset({last}), {}
        network.run(20 * network.every)  # those that were stopped before are left out for a while
        self.assertEqual(network.ladder.home, last)
        self.assertIn(network.ladder.phase, (Phase.HOLDING, Phase.TRYING))
