"""The life story of one peer."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.giving_up import PATIENCE, Patience
from morphnet.rendezvous.peering import Peering, peering


class FakeHands:
    """Remembers what it was told to do."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.decided: list[tuple[str, str]] = []
        self.on_greet: Callable[[], None] = lambda: None

    def greet(self) -> None:
        """Note it, and let the test react by `on_greet`."""
        self.done.append("greet")
        self.on_greet()

    def give_up(self) -> None:
        self.done.append("give up")

    def search(self) -> None:
        self.done.append("search")

    def rest(self) -> None:
        self.done.append("rest")

    def entered(self, state: str, why: str) -> None:
        self.decided.append((state, why))


INPUTS: dict[str, Callable[[Peering], None]] = {
    "appeared": lambda peer: peer.appeared(),
    "vanished": lambda peer: peer.vanished(),
    "established": lambda peer: peer.established(),
    "failed": lambda peer: peer.failed("not now"),
    "void": lambda peer: peer.void("another process"),
    "found": lambda peer: peer.found("wan"),
    "lost": lambda peer: peer.lost(),
    "streamed": lambda peer: peer.streamed("tcp"),
    "cut": lambda peer: peer.cut(),
    "addresses_changed": lambda peer: peer.addresses_changed("our"),
    "wait_ended": lambda peer: peer.wait_ended(),
    "stop": lambda peer: peer.stop(),
}
WAYS: dict[str, tuple[str, ...]] = {
    "apart": (),
    "meeting": ("appeared",),
    "estranged": ("appeared", "failed"),
    "searching": ("appeared", "established"),
    "settled": ("appeared", "established", "wait_ended"),
    "streaming": ("appeared", "established", "streamed"),
    "streaming at rest": ("appeared", "established", "streamed", "wait_ended"),
    "direct": ("appeared", "established", "found"),
    "stopped": ("stop",),
}
SEARCH = (["search"], "searching", 4.0)
# state, input -> what the hands are told to do, the state that is told, and seconds until the timer ends (None: there
# is none). What is not in the table changes nothing, not even the timer.
CHANGES: dict[tuple[str, str], tuple[list[str], str, float | None]] = {
    ("apart", "appeared"): (["greet"], "meeting", 8.0),
    ("apart", "established"): SEARCH,
    ("apart", "stop"): (["give up", "rest"], "", None),
    ("meeting", "appeared"): (["give up", "greet"], "meeting", 8.0),
    ("meeting", "vanished"): (["give up"], "apart", None),
    ("meeting", "established"): SEARCH,
    ("meeting", "failed"): ([], "estranged", 0.5),
    ("meeting", "wait_ended"): (["give up"], "estranged", 0.5),
    ("meeting", "stop"): (["give up", "rest"], "", None),
    ("estranged", "appeared"): (["greet"], "meeting", 8.0),
    ("estranged", "vanished"): (["give up"], "apart", None),
    ("estranged", "established"): SEARCH,
    ("estranged", "wait_ended"): (["greet"], "meeting", 8.0),
    ("estranged", "stop"): (["give up", "rest"], "", None),
    ("searching", "established"): SEARCH,
    ("searching", "void"): (["rest"], "apart", None),
    ("searching", "found"): (["rest"], "direct", None),
    ("searching", "streamed"): ([], "streaming", 4.0),
    ("searching", "addresses_changed"): SEARCH,
    ("searching", "wait_ended"): (["rest"], "settled", 60.0),
    ("searching", "stop"): (["give up", "rest"], "", None),
    ("settled", "established"): SEARCH,
    ("settled", "void"): (["rest"], "apart", None),
    ("settled", "found"): (["rest"], "direct", None),
    ("settled", "streamed"): ([], "streaming", 60.0),
    ("settled", "addresses_changed"): SEARCH,
    ("settled", "wait_ended"): SEARCH,
    ("settled", "stop"): (["give up", "rest"], "", None),
    ("streaming", "established"): SEARCH,
    ("streaming", "void"): (["rest"], "apart", None),
    ("streaming", "found"): (["rest"], "direct", None),
    ("streaming", "cut"): SEARCH,
    ("streaming", "addresses_changed"): (["search"], "streaming", 4.0),
    ("streaming", "wait_ended"): (["rest"], "", 60.0),
    ("streaming", "stop"): (["give up", "rest"], "", None),
    ("streaming at rest", "established"): SEARCH,
    ("streaming at rest", "void"): (["rest"], "apart", None),
    ("streaming at rest", "found"): (["rest"], "direct", None),
    ("streaming at rest", "cut"): SEARCH,
    ("streaming at rest", "addresses_changed"): (["search"], "streaming", 4.0),
    ("streaming at rest", "wait_ended"): (["search"], "", 4.0),
    ("streaming at rest", "stop"): (["give up", "rest"], "", None),
    ("direct", "established"): SEARCH,
    ("direct", "void"): (["rest"], "apart", None),
    ("direct", "lost"): SEARCH,
    ("direct", "addresses_changed"): (["search"], "direct", 4.0),
    ("direct", "wait_ended"): (["rest"], "", None),
    ("direct", "stop"): (["give up", "rest"], "", None),
}


class PeeringTestCase(SynchronousTestCase):
    """A peer with even chances: no jitter."""

    def setUp(self) -> None:
        self.clock, self.hands = Clock(), FakeHands()
        self.chance = 0.5
        self.peer = self.make()

    def make(self, patience: Patience = PATIENCE) -> Peering:
        """A peer that was not met."""
        return peering(self.hands, self.clock, lambda: self.chance, patience)

    def left(self) -> float | None:
        """Seconds until the only timer ends; None when there is none."""
        calls = self.clock.getDelayedCalls()
        self.assertLess(len(calls), 2)
        return round(calls[0].getTime() - self.clock.seconds(), 3) if calls else None

    def wait(self) -> float:
        """Let the timer end; answers with how long it took."""
        seconds = self.left()
        assert seconds is not None
        self.clock.advance(seconds + 1e-6)
        return seconds

    def happen(self, *steps: str) -> None:
        """These things."""
        for step in steps:
            INPUTS[step](self.peer)

    def fresh(self) -> list[str]:
        """What was done since the last look."""
        done, self.hands.done = self.hands.done, []
        return done

    def states(self) -> list[str]:
        """The states that were told, in order."""
        return [state for state, _ in self.hands.decided]


class MatrixTests(PeeringTestCase):
    def test_matrix(self) -> None:
        """Every input in every state does what the table says, or nothing, and none raises."""
        for state, way in WAYS.items():
            for name in INPUTS:
                self.peer = self.make()
                self.happen(*way)
                self.fresh()
                self.hands.decided.clear()
                before = self.left()
                self.happen(name)
                done, told, left = CHANGES.get((state, name), ([], "", before))
                self.assertEqual((self.fresh(), self.states(), self.left()), (done, [told] if told else [], left),
                                 (state, name))  # fmt: skip
                self.peer.stop()
                self.assertIsNone(self.left(), (state, name))

    def test_two_steps(self) -> None:
        """Any two inputs after any other, in every state: none raises, and there is never more than one timer."""
        for way in WAYS.values():
            for one in INPUTS:
                for other in INPUTS:
                    for last in INPUTS:
                        self.peer = self.make()
                        self.happen(*way, one, other, last)
                        self.left()
                        self.peer.stop()
                        self.assertIsNone(self.left(), (way, one, other, last))

    def test_stopped_for_good(self) -> None:
        """After the end nothing is done any more."""
        for way in WAYS.values():
            self.peer = self.make()
            self.happen(*way, "stop")
            self.fresh()
            self.happen(*INPUTS)
            self.assertEqual((self.fresh(), self.left()), ([], None))


class StoryTests(PeeringTestCase):
    def test_whole_life(self) -> None:
        """Met, direct, lost, not found again, settled, and a minute later direct again."""
        self.happen("appeared", "established", "found", "lost")
        self.assertEqual(self.wait(), 4.0)
        self.assertEqual(self.wait(), 60.0)
        self.happen("found")
        self.assertEqual(self.fresh(), ["greet", "search", "rest", "search", "rest", "search", "rest"])
        self.assertEqual(
            self.states(), ["meeting", "searching", "direct", "searching", "settled", "searching", "direct"]
        )
        self.assertIsNone(self.left())

    def test_back_off(self) -> None:
        """Handshakes that fail are tried again ever less often, for ever, whether refused or not answered."""
        self.happen("appeared")
        waits = []
        for turn in range(12):
            if turn % 2:
                self.happen("failed")
            else:
                self.assertEqual(self.wait(), 8.0)
            waits.append(self.wait())
        self.assertEqual(waits, [0.5, 1.0, 2.0, 5.0, 10.0, *[30.0] * 7])
        self.assertEqual(self.fresh().count("greet"), 13)

    def test_forgiven(self) -> None:
        """After a session, or a peer that left and came, the waits are short again; after a mere sign of it not."""
        for steps, wait in ((("established", "void", "appeared"), 0.5), (("vanished", "appeared"), 0.5),
                            (("appeared",), 5.0)):  # fmt: skip
            self.peer = self.make()
            self.happen("appeared", "failed", "wait_ended", "failed", "wait_ended", "failed", *steps, "failed")
            self.assertEqual(self.left(), wait, steps)
            self.peer.stop()

    def test_jitter(self) -> None:
        """Chance makes a wait a fifth longer or shorter; a handshake and a search have their time exactly."""
        for chance, share in ((0.0, 0.8), (1.0, 1.2)):
            self.chance, self.peer = chance, self.make()
            self.happen("appeared")
            self.assertEqual(self.left(), 8.0)
            self.happen("failed")
            self.assertEqual(self.left(), 0.5 * share)
            self.happen("established")
            self.assertEqual(self.left(), 4.0)
            self.happen("wait_ended")
            self.assertEqual(self.left(), 60.0 * share)
            self.peer.stop()

    def test_addresses_changed(self) -> None:
        """New addresses of either side begin a search at once, with all its time, however often they come."""
        self.happen("appeared", "established", "wait_ended")
        self.fresh()
        for _ in range(3):
            self.happen("addresses_changed")
            self.clock.advance(3.9)
        self.assertEqual((self.fresh(), self.left()), (["search"] * 3, 0.1))
        self.peer.addresses_changed("its")
        self.assertEqual(self.hands.decided[-1], ("searching", "its addresses have changed"))

    def test_better_way(self) -> None:
        """With new addresses a better way is looked for while the one there is stays in use, for as long as always."""
        self.happen("appeared", "established", "found", "addresses_changed", "found")
        self.fresh()
        self.assertEqual((self.wait(), self.fresh(), self.left()), (4.0, ["rest"], None))
        self.assertEqual(self.states()[-1], "direct")

    def test_lost_while_looking(self) -> None:
        """A direct path that is lost while a better one is looked for: the search starts over."""
        self.happen("appeared", "established", "found", "addresses_changed")
        self.clock.advance(3)
        self.happen("lost")
        self.assertEqual((self.left(), self.states()[-1]), (4.0, "searching"))

    def test_by_stream(self) -> None:
        """While a stream carries the traffic UDP is looked for every minute, without a word, until it is found."""
        self.happen("appeared", "established", "streamed")
        self.assertEqual([self.wait() for _ in range(5)], [4.0, 60.0, 4.0, 60.0, 4.0])
        self.assertEqual(self.fresh(), ["greet", "search", "rest", "search", "rest", "search", "rest"])
        self.assertEqual(self.hands.decided[-1], ("streaming", "tcp works; UDP is still looked for"))
        self.happen("found", "cut", "streamed")
        self.assertEqual((self.states()[-2:], self.left()), (["streaming", "direct"], None))

    def test_stream_cut(self) -> None:
        """When the stream ends another direct way is looked for at once."""
        self.happen("appeared", "established", "streamed", "wait_ended", "cut")
        self.assertEqual((self.left(), self.hands.decided[-1]),
                         (4.0, ("searching", "the stream fell silent; the relay carries on")))  # fmt: skip
        self.happen("streamed", "vanished", "cut")
        self.assertEqual(self.hands.decided[-1][1], "the stream fell silent; no relay has it either")

    def test_stream_left(self) -> None:
        """A stream that is there still when UDP ends takes over, and the search goes on."""
        self.happen("appeared", "established", "streamed", "found", "lost", "streamed")
        self.assertEqual((self.left(), self.states()[-2:]), (4.0, ["searching", "streaming"]))
        self.assertEqual([self.wait(), self.wait()], [4.0, 60.0])

    def test_relay_gone(self) -> None:
        """A direct path needs no relay; when it is lost it is said whether one is left."""
        self.happen("appeared", "established", "found", "vanished", "lost")
        self.assertEqual(self.hands.decided[-1][1], "the direct path fell silent; no relay has it either")
        self.happen("appeared", "found", "lost")
        self.assertEqual(self.hands.decided[-1][1], "the direct path fell silent; the relay carries on")

    def test_it_calls(self) -> None:
        """A peer whose session has ended, and that calls before we do, is met through the relay that it never left."""
        self.happen("appeared", "established", "void", "established", "found", "lost")
        self.assertEqual(self.hands.decided[-1][1], "the direct path fell silent; the relay carries on")

    def test_another_process(self) -> None:
        """A peer that was started anew is met anew."""
        self.happen("appeared", "established", "found", "void", "appeared")
        self.assertEqual(self.fresh()[-2:], ["rest", "greet"])
        self.assertEqual(self.states()[-2:], ["apart", "meeting"])

    def test_words(self) -> None:
        """What is decided is said in words, with the time until the next step."""
        self.happen("appeared", "failed")
        self.assertEqual(self.hands.decided[-1], ("estranged", "no session: not now; trying again in 0.5 s"))
        self.happen("established", "wait_ended")
        self.assertEqual(self.hands.decided[-1][1],
                         "no direct way is in use after 4 s of search; the next search is in 60 s")  # fmt: skip

    def test_fails_at_once(self) -> None:
        """A handshake that fails, or is complete, before `greet` returns is just that."""
        self.hands.on_greet = lambda: self.peer.failed("the line is full")
        self.happen("appeared")
        self.assertEqual((self.states(), self.left()), (["meeting", "estranged"], 0.5))
        self.hands.on_greet = self.peer.established
        self.wait()
        self.assertEqual((self.states()[-1], self.left()), ("searching", 4.0))
