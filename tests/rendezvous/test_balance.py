"""Which uplinks lead out, as a network answers that hypothesis makes up."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.balance import (
    LATE,
    MOST_PROOFS,
    MOST_VOID,
    PATIENCE,
    PORTAL,
    PORTAL_EVERY,
    PROOFS,
    ROUND_PATIENCE,
    STEPS,
    Capacity,
    Check,
    Health,
    State,
    Verdict,
    behind_one,
    measured_weights,
    shares,
)

TARGETS, METHODS = ("192.0.2.7", "198.51.100.7"), ("ping", "dns", "tcp")
CHECKS = [Check(target, method) for target in TARGETS for method in METHODS]
NOWHERE = Check("192.0.2.1", PORTAL)
FOUND_DEAD = 1.0 + PATIENCE + ROUND_PATIENCE  # seconds, at most, after the last answer
TICK = 0.05
EVENTS = ("look", "answered", "refused", "nobody", "lost", "changed")


class Net:
    """A clock, an uplink, and who answers by it."""

    def __init__(self, rtt: float = 0.02) -> None:
        self.health, self.now, self.rtt = Health(CHECKS, NOWHERE), 100.0, rtt
        self.answers: Callable[[Check], bool] = lambda check: True
        self.verdict: Verdict | None = None  # None: the call to nowhere is never answered
        self._coming: list[tuple[float, int, Check]] = []
        self.asked = 0

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        """How long it took until that, or `seconds`."""
        begun = self.now
        while self.now - begun < seconds and not until():
            for at, number, check in [each for each in self._coming if each[0] <= self.now]:
                self._coming.remove((at, number, check))
                if check != NOWHERE:
                    self.health.answered(number, self.now)
                elif self.verdict is not None:
                    self.health.nobody(number, self.verdict, self.now)
            if self.now >= self.health.next_at:
                for number, check in self.health.look(self.now):
                    self.asked += 1
                    if self.answers(check) or check == NOWHERE:
                        self._coming.append((self.now + self.rtt, number, check))
            self.now += TICK
        return self.now - begun

    def lose(self) -> None:
        """What is under way never comes."""
        self._coming.clear()

    def is_in(self, state: State) -> bool:
        return self.health.state is state


class HealthTests(SynchronousTestCase):
    def up(self, rtt: float = 0.02) -> Net:
        net = Net(rtt)
        net.run(5, lambda: net.is_in(State.UP))
        self.assertEqual(net.health.state, State.UP)
        return net

    def test_quiet(self) -> None:
        """While all is well one question a second is asked, and now and then one more for a portal."""
        net = self.up()
        before = net.asked
        net.run(30)
        self.assertLessEqual(net.asked - before, 30 + 30 / PORTAL_EVERY + 1)
        self.assertEqual((net.health.state, net.health.changes), (State.UP, 1))

    @given(alive=st.sampled_from(CHECKS))
    @settings(max_examples=20, deadline=None)
    def test_one_is_enough(self, alive: Check) -> None:
        """Whatever is dead or filtered, one target that answers by one method keeps an uplink up."""
        net = self.up()
        net.answers = lambda check: check == alive
        net.run(30)
        self.assertEqual((net.health.state, net.health.changes), (State.UP, 1))

    @given(after=st.floats(0, 12), rtt=st.floats(0.001, 0.15))
    @settings(max_examples=50, deadline=None)
    def test_silence(self, after: float, rtt: float) -> None:
        """An uplink that falls silent is found dead in time, whenever that is."""
        net = self.up(rtt)
        net.run(after)
        net.answers = lambda check: False
        took = net.run(10, lambda: net.is_in(State.DOWN))
        self.assertLessEqual(took, FOUND_DEAD + rtt + 4 * TICK)
        self.assertEqual(net.health.why, "no target answers")

    @given(lost=st.lists(st.booleans(), min_size=40, max_size=40))
    @settings(max_examples=50, deadline=None)
    def test_loss(self, lost: list[bool]) -> None:
        """Single questions that are lost change nothing, unless all of a round are."""
        net, turn = self.up(), iter(lost * 100)
        in_a_row, worst = 0, 0

        def answers(check: Check) -> bool:
            nonlocal in_a_row, worst
            gone = next(turn)
            in_a_row = in_a_row + 1 if gone else 0
            worst = max(worst, in_a_row)
            return not gone

        net.answers = answers
        net.run(20)
        if worst < len(CHECKS):
            self.assertEqual(net.health.state, State.UP)

    def test_portal(self) -> None:
        """Whoever hands out a page for an address that nobody has makes an uplink dead, whatever else answers."""
        net = self.up()
        net.verdict = Verdict.PAGE
        self.assertLessEqual(net.run(20, lambda: net.is_in(State.DOWN)), PORTAL_EVERY + 2)
        self.assertIn("captive portal", net.health.why)
        net.run(30)
        self.assertEqual(net.health.state, State.DOWN)
        net.verdict = None
        net.run(30, lambda: net.is_in(State.UP))
        self.assertEqual(net.health.state, State.UP)

    def test_portal_from_the_start(self) -> None:
        """Behind one, an uplink is never up: the first round waits for what that address says."""
        net = Net()
        net.verdict = Verdict.PAGE
        net.run(20)
        self.assertEqual((net.health.state, net.health.changes), (State.DOWN, 1))

    def test_slow_portal(self) -> None:
        """One whose pages come late, or not at all, two times of three, is one all the same."""
        net = Net()
        net.verdict = Verdict.PAGE
        net.run(20)
        for none in (None, Verdict.ACCEPTS, Verdict.SILENT):
            for _ in range(5):
                net.verdict = none
                net.run(1.8)
                net.verdict = Verdict.PAGE
                net.run(2.2)
        self.assertEqual((net.health.state, net.health.changes), (State.DOWN, 1))

    def test_takes_all(self) -> None:
        """Where somebody takes every connection, connections prove nothing; echoes and names still do."""
        net = Net()
        net.verdict = Verdict.ACCEPTS
        net.answers = lambda check: check.method == "tcp"
        net.run(10)
        self.assertEqual(net.health.state, State.DOWN)
        net.answers = lambda check: check.method == "dns"
        net.run(30, lambda: net.is_in(State.UP))
        self.assertEqual(net.health.state, State.UP)

    def test_comes_back(self) -> None:
        """An uplink that has gone once answers PROOFS rounds until it is up; one that comes and goes, more and more."""
        net, rounds = self.up(), list[float]()
        for _ in range(6):
            net.answers = lambda check: False
            net.run(10, lambda: net.is_in(State.DOWN))
            net.answers = lambda check: True
            rounds.append(net.run(60, lambda: net.is_in(State.UP)))
        self.assertEqual(rounds, sorted(rounds))
        self.assertLessEqual(rounds[0], PROOFS * 1.5)
        self.assertLessEqual(rounds[-1], MOST_PROOFS * 1.5)
        self.assertGreaterEqual(rounds[-1], MOST_PROOFS - 2.0)

    def test_carrier(self) -> None:
        """Without carrier it is down at once; with it again, it is asked at once."""
        net = self.up()
        net.health.lost("it has no carrier", net.now)
        self.assertEqual((net.health.state, net.health.why), (State.DOWN, "it has no carrier"))
        net.health.changed(net.now)
        self.assertLessEqual(net.run(10, lambda: net.is_in(State.UP)), PROOFS * 1.5)

    @given(
        until=st.floats(0, 3), silent=st.booleans(), slept=st.floats(2 * ROUND_PATIENCE + LATE, 1e6), up=st.booleans()
    )
    @settings(max_examples=50, deadline=None)
    def test_slept(self, until: float, silent: bool, slept: float, up: bool) -> None:
        """While the machine sleeps, whatever was asked before, nothing is found out about an uplink."""
        net = self.up() if up else Net()
        net.run(until if up else 0.01)
        net.answers = lambda check: not silent
        net.run(1.2 if up else 0.0)  # some are silent, the last before it sleeps
        before = net.health.state
        net.lose()
        net.now += slept
        net.answers = lambda check: True
        net.run(8)
        self.assertEqual((before, net.health.state), (State.UP if up else State.UNTRIED, State.UP))
        self.assertEqual(net.health.changes, 1)

    @given(until=st.one_of(st.floats(2 * ROUND_PATIENCE + LATE, 1e6), st.floats(-1e6, -0.001)), up=st.booleans())
    @settings(max_examples=20, deadline=None)
    def test_no_time(self, until: float, up: bool) -> None:
        """What is answered after a sleep, or with the clock set back, does not say how long it took."""
        net = self.up() if up else Net()
        before = net.health.rtt, net.health.state
        net.now = max(net.now, net.health.next_at)
        numbers = [number for number, check in net.health.look(net.now) if check != NOWHERE]
        net.health.answered(numbers[0], net.now + until)
        net.health.look(net.now + until)
        self.assertEqual((net.health.rtt, net.health.state), before)

    @given(late=st.floats(LATE, 60, exclude_min=True))
    @settings(max_examples=20, deadline=None)
    def test_always_late(self, late: float) -> None:
        """Who always looks late finds a dead uplink all the same, some rounds later; and one that leads out again."""
        net = self.up()
        looks = 0
        while net.is_in(State.UP) and looks < 100:
            net.now, looks = max(net.now, net.health.next_at) + late, looks + 1
            net.health.look(net.now)
        self.assertLessEqual(looks, MOST_VOID + 4)
        self.assertEqual(net.health.why, "no target answers")
        while not net.is_in(State.UP) and looks < 100:
            net.now, looks = max(net.now, net.health.next_at) + late, looks + 1
            for number, check in net.health.look(net.now):
                if check != NOWHERE:
                    net.health.answered(number, net.now)
        self.assertLess(looks, 100)

    def test_slow(self) -> None:
        """A satellite is no dead uplink."""
        net = self.up(0.7)
        net.run(30)
        self.assertEqual((net.health.state, net.health.changes), (State.UP, 1))

    @given(
        events=st.lists(
            st.tuples(
                st.sampled_from(["look", "answered", "refused", "nobody", "lost", "changed"]), st.integers(0, 80)
            ),
            max_size=60,
        )
    )
    @settings(max_examples=300, deadline=None)
    def test_any_order(self, events: list[tuple[str, int]]) -> None:
        """Whatever comes in whatever order, up means that something was answered; what is asked is bounded."""
        health, now, answered = Health(CHECKS, NOWHERE), 0.0, False
        for name, number in events:
            now += number / 40
            if name == "look":
                self.assertLessEqual(len(health.look(now)), len(CHECKS) + 1)
            elif name == "nobody":
                health.nobody(number % 12, list(Verdict)[number % 3], now)
            elif name == "lost":
                health.lost("gone", now)
                self.assertEqual(health.state, State.DOWN)
            elif name == "changed":
                health.changed(now)
            else:
                answered |= name == "answered"
                getattr(health, name)(number % 12, now)
            if health.state is State.UP:
                self.assertTrue(answered)
            self.assertEqual(health.why == "", health.state is State.UP)


class SharesTests(SynchronousTestCase):
    names = st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True)

    @given(up=names, last=names, weights=st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9)))
    def test_shares(self, up: list[str], last: list[str], weights: dict[str, int]) -> None:
        """Nobody who is not up gets a flow; the last ones only where nobody else is; somebody does if anybody is up."""
        got = shares(up, weights, last)
        self.assertLessEqual(set(got), set(up))
        self.assertEqual(bool(got), bool(up))
        if set(up) - set(last):
            self.assertFalse(set(got) & set(last))
        for name, parts in got.items():
            self.assertEqual(parts, weights.get(name, 1))

    @given(st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1e9)))
    def test_measured(self, peaks: dict[str, float]) -> None:
        """A wider one never gets less than a narrower one, and everybody something."""
        weights = measured_weights(peaks)
        self.assertEqual(set(weights), set(peaks))
        self.assertTrue(all(1 <= each <= STEPS for each in weights.values()))
        ordered = sorted(peaks, key=lambda name: peaks[name])
        self.assertEqual([weights[each] for each in ordered], sorted(weights.values()))

    def test_capacity(self) -> None:
        """The peak of what was received; a counter that began anew says nothing."""
        capacity = Capacity()
        for count, at in ((0, 0.0), (1_000_000, 1.0), (1_100_000, 2.0), (5, 3.0)):
            capacity.add(count, at)
        self.assertLess(abs(capacity.peak - 1_000_000), 1000)

    def test_behind_one(self) -> None:
        """Uplinks at one address are pointed out; what is not known is at no address."""
        self.assertEqual(
            behind_one({"a": "192.0.2.1", "b": "", "c": "192.0.2.1", "d": ""}), [("192.0.2.1", ("a", "c"))]
        )
