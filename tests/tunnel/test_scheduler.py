"""Which path a run is offered to, in each mode."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.carrier import DIRECT, PASSAGE, RELAYED, STREAM
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.patience import Patience
from morphnet.tunnel.scheduler import (
    LOSSY,
    MAX_PINS,
    PIN_LIFE,
    Flow,
    Scheduler,
    first_shows,
    judge_losses,
    make_scheduler,
)
from morphnet.wire.batch import VNET_HDR, Endpoint
from morphnet.wire.segments import Run
from tests.inner_tcp import ACK, SEGMENT, packet

NAMES = ("bond", "flow", "redundant", "best")
FAR = Endpoint("203.0.113.1", 8000)


def path_of(number: int, rtt: float, state: State = State.ACTIVE) -> Path:
    """A path in use whose RTT is known."""
    path = Path(number, number, FAR, 1466, 0.0)
    path.life.state, path.validation.validated = state, True
    path.rtt.add(rtt, now=0.0)
    path.pacer.landing.way = rtt / 2
    return path


def run_of(flow: int, first: bytes = bytes(100)) -> Run:
    """A packet of that flow."""
    return Run(b"", first, len(first), 0, flow)


def lose(path: Path, share: float, now: float) -> None:
    """The peer's counts say that it loses this share of its packets."""
    path.pacer.window.startup = False
    for meter in (path.loss, path.any_loss):
        meter.clear()
        for step in range(5):
            meter.add(step * 100, round(step * 100 * (1 - share)), now - 0.5 + step * 0.1)


class OrderTests(SynchronousTestCase):
    @given(st.sampled_from(NAMES), st.lists(st.floats(0.001, 1.0), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
    def test_always_one(self, name: str, rtts: list[float], flow: int) -> None:
        """Every mode names at least one of the paths it was given, and none twice."""
        paths = [path_of(number, rtt) for number, rtt in enumerate(rtts)]
        order = list(make_scheduler(name, Patience(0.05)).order(paths, run_of(flow), 1 << 20, 0.1))
        self.assertTrue(order)
        self.assertEqual(len({path.id for path in order}), len(order))
        self.assertLessEqual({path.id for path in order}, {path.id for path in paths})

    def test_unknown(self) -> None:
        """There are four modes and no fifth."""
        with self.assertRaises(KeyError):
            make_scheduler("fifth", Patience(0.05))
        self.assertEqual([make_scheduler(name, Patience(0.05)).name for name in NAMES], list(NAMES))

    def test_redundant(self) -> None:
        """`redundant` takes all of them."""
        paths = [path_of(0, 0.01), path_of(1, 0.5)]
        self.assertEqual(list(make_scheduler("redundant", Patience(0.05)).order(paths, run_of(1), 1 << 20, 0.0)), paths)

    def test_best(self) -> None:
        """`best` takes the lowest RTT, and changes over only for one that is clearly lower, or when it must."""
        best, one, two = make_scheduler("best", Patience(0.05)), path_of(0, 0.050), path_of(1, 0.060)
        self.assertEqual(list(best.order([one, two], run_of(1), 0, 0.0)), [one])
        a_little, clearly = path_of(2, 0.045), path_of(3, 0.030)
        self.assertEqual(list(best.order([one, a_little], run_of(1), 0, 0.0)), [one])
        self.assertEqual(list(best.order([one, clearly], run_of(1), 0, 0.0)), [clearly])
        self.assertEqual(list(best.order([two], run_of(1), 0, 0.0)), [two])

    def test_bond_leaves_out(self) -> None:
        """`bond` offers no path so slow that the receiver would have given up on what it brings."""
        paths = [path_of(0, 0.02), path_of(1, 0.08), path_of(2, 0.5)]
        order = make_scheduler("bond", Patience(0.05)).order(paths, run_of(1), 1 << 20, 0.0)
        self.assertEqual({path.id for path in order}, {0, 1})

    def test_bond_waits(self) -> None:
        """A slower path is offered when so much waits that by the better one it would be there no sooner."""
        paths, bond = [path_of(0, 0.02), path_of(1, 0.06)], make_scheduler("bond", Patience(0.05))
        enough = round(0.02 * paths[0].pacer.pace(0.0))
        for waiting, expected in ((enough // 2, [0]), (enough + 1, [0, 1])):
            self.assertEqual([path.id for path in bond.order(paths, run_of(1), waiting, 0.0)], expected)
            self.assertAlmostEqual(bond.later, 0.02)

    def test_bond_full(self) -> None:
        """Nor is one offered in front of which a queue stands, however much waits."""
        paths = [path_of(0, 0.02), path_of(1, 0.06)]
        for full, expected in ((0.02, [0, 1]), (0.04, [0])):
            paths[1].pacer.free_at = full
            order = make_scheduler("bond", Patience(0.2)).order(paths, run_of(1), 1 << 24, 0.0)
            self.assertEqual([path.id for path in order], expected)

    def test_bond_data_of_tcp(self) -> None:
        """What TCP carries may come by a path as slow as the receiver waits for it; nothing else may."""
        paths = [path_of(0, 0.02), path_of(1, 0.3)]
        data, bare = (packet(1, size, 1, up=True)[VNET_HDR:] for size in (SEGMENT, ACK))
        for first, tcp, expected in (
            (data, 0.25, 2),
            (data, 0.1, 1),
            (data, 0.0, 1),
            (bare, 0.25, 1),
            (bytes(99), 0.25, 1),
        ):
            order = make_scheduler("bond", Patience(0.05, tcp)).order(paths, run_of(1, first), 1 << 24, 0.0)
            self.assertEqual(len(order), expected, (len(first), tcp))

    def test_bond_idle(self) -> None:
        """With nothing in flight a small packet goes by the nearest path."""
        paths = [path_of(0, 0.08), path_of(1, 0.02)]
        self.assertEqual(make_scheduler("bond", Patience(0.05)).order(paths, run_of(1), 1 << 20, 0.0)[0].id, 1)


class FlowTests(SynchronousTestCase):
    def _choose(self, flow: Scheduler, paths: list[Path], which: int, now: float = 0.0) -> int:
        (chosen,) = flow.order(paths, run_of(which), 0, now)
        return chosen.id

    def test_pinned(self) -> None:
        """A flow keeps its path as long as that is offered, and its new one when the old one is back."""
        flow, paths = Flow(), [path_of(0, 0.02), path_of(1, 0.02)]
        first = self._choose(flow, paths, 7)
        self.assertEqual({self._choose(flow, paths, 7) for _ in range(50)}, {first})
        rest = [path for path in paths if path.id != first]
        second = self._choose(flow, rest, 7)
        self.assertNotEqual(second, first)
        self.assertEqual(self._choose(flow, paths, 7), second)

    def test_shared_out(self) -> None:
        """Flows are shared out by what each path can deliver."""
        flow, wide, narrow = Flow(), path_of(0, 0.02), path_of(1, 0.02)
        wide.pacer.window.modest, narrow.pacer.window.modest = 300_000, 100_000
        chosen = Counter(self._choose(flow, [wide, narrow], which) for which in range(200))
        self.assertLess(abs(chosen[0] - 150), 20)

    def test_bounded(self) -> None:
        """However many flows there are, few are remembered, and those that rest are forgotten."""
        flow, paths = Flow(), [path_of(0, 0.02), path_of(1, 0.02)]
        for which in range(MAX_PINS + 5000):
            self._choose(flow, paths, which, which * 1e-4)
        self.assertEqual(len(flow._pins), MAX_PINS)
        self._choose(flow, paths, 1, PIN_LIFE + 1000)
        self.assertEqual(len(flow._pins), 1)


class JudgeTests(SynchronousTestCase):
    def test_doubtful(self) -> None:
        """A path that fell silent twice stands by until it has shown that it loses little, or some seconds passed."""
        good, bad = path_of(0, 0.02), path_of(1, 0.02)
        for at in (10.0, 11.0):
            self.assertFalse(bad.life.doubtful)
            bad.enter(State.SILENT, at)
            bad.enter(State.ACTIVE, at + 0.5)
        self.assertTrue(bad.life.doubtful)
        bad.enter(State.STANDBY, 20.0)
        self.assertEqual(judge_losses([good, bad], 22.5), [])  # nothing is known of it
        self.assertEqual(judge_losses([good, bad], 25.5), [bad])
        bad.enter(State.STANDBY, 30.0)
        lose(bad, 0.0, 32.5)
        self.assertEqual(judge_losses([good, bad], 32.5), [bad])

    def test_stream(self) -> None:
        """What finds a stream full is no loss of the way: it carries on, and so does one that fell silent twice."""
        for rank in (STREAM, PASSAGE):
            relay, stream = path_of(0, 0.02), path_of(1, 0.02)
            relay.rank, stream.rank = RELAYED, rank
            for at in (10.0, 11.0):
                stream.enter(State.SILENT, at)
                self.assertFalse(first_shows(stream, [relay, stream]))
                stream.enter(State.ACTIVE, at + 0.5)
            lose(stream, 0.5, 12.0)
            self.assertEqual(judge_losses([relay, stream], 15.0), [])
            self.assertIs(stream.state, State.ACTIVE)

    def test_first_shows(self) -> None:
        """One that fell silent twice shows first that it is sound, beside a stream or what has worked for longer."""
        cases = (DIRECT, 1.0, True), (DIRECT, 20.0, False), (STREAM, 20.0, True), (PASSAGE, 20.0, True)
        for rank, at, shows in cases:
            bad, other = path_of(0, 0.02), path_of(1, 0.02)
            other.rank = rank
            for turn in (10.0, 11.0):
                bad.enter(State.SILENT, turn)
                bad.enter(State.ACTIVE, turn + 0.5)
            bad.enter(State.SILENT, 12.0)
            other.enter(State.SILENT, at - 0.5)
            other.enter(State.ACTIVE, at)
            self.assertEqual(first_shows(bad, [bad, other]), shows, (rank, at))

    def test_poor(self) -> None:
        """One that loses most of what it is given stands by for a stream that works, and comes back in the end."""
        for state, rank, judged in (
            (State.ACTIVE, STREAM, True),
            (State.ACTIVE, PASSAGE, True),
            (State.SILENT, STREAM, False),
        ):
            direct, stream = path_of(0, 0.02), path_of(1, 0.02)
            stream.rank = rank
            stream.enter(state, 9.0)
            lose(direct, 0.3, 10.0)
            self.assertEqual(judge_losses([direct, stream], 10.0), [])
            lose(direct, 0.6, 20.0)
            self.assertEqual(judge_losses([direct, stream], 20.0), [direct] if judged else [])
        stream = path_of(1, 0.02)
        stream.rank = STREAM
        direct.enter(State.STANDBY, 20.0)
        lose(direct, 0.0, 30.0)
        self.assertEqual(judge_losses([direct, stream], 30.0), [direct])
        self.assertIs(direct.state, State.ACTIVE)

    def test_lossy(self) -> None:
        """A path that loses much more than the best one stands by, and comes back once it does not."""
        good, bad = path_of(0, 0.02), path_of(1, 0.02)
        lose(good, 0.0, 10.0)
        lose(bad, 0.3, 10.0)
        self.assertEqual(judge_losses([good, bad], 10.0), [bad])
        self.assertIs(bad.state, State.STANDBY)
        self.assertEqual(judge_losses([good, bad], 10.5), [])
        lose(bad, 0.0, 13.0)
        self.assertEqual(judge_losses([good, bad], 13.0), [bad])
        self.assertIs(bad.state, State.ACTIVE)

    def test_all_lossy(self) -> None:
        """Where all lose alike none stands by: there is no better one."""
        for share in (0.16, 0.5, 0.9):
            paths = [path_of(0, 0.02), path_of(1, 0.02)]
            for path in paths:
                lose(path, share, 10.0)
            self.assertEqual(judge_losses(paths, 10.0), [])

    @given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(list(State))), min_size=1, max_size=6))
    def test_never_all(self, given_: list[tuple[float, State]]) -> None:
        """The judgement never takes the last active path away."""
        paths = [path_of(number, 0.02, state) for number, (_, state) in enumerate(given_)]
        for path, (share, _) in zip(paths, given_, strict=True):
            lose(path, share, 10.0)
        active = any(path.state is State.ACTIVE for path in paths)
        judge_losses(paths, 10.0)
        self.assertTrue(not active or any(path.state is State.ACTIVE for path in paths))

    def test_own_doing(self) -> None:
        """What is lost while a queue stands in the path is congestion, and no reason to leave it."""
        good, bad = path_of(0, 0.02), path_of(1, 0.02)
        lose(bad, LOSSY * 2, 10.0)
        bad.pacer._crowded_at = 9.9
        self.assertEqual(judge_losses([good, bad], 10.0), [])
        self.assertEqual(bad.loss.rate(), 0.0)
