"""The search for direct ways: who is asked, what proves a way, and what it costs."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from morphnet.traversal.checks import (
    ANSWERS_A_SECOND,
    CALLER_FRESH,
    FIRST_PAUSE,
    MOST_ASKED,
    MOST_CALLERS,
    MOST_PAIRS,
    SPACING,
    TRIES,
    Checker,
    Pair,
)
from morphnet.tunnel.events import Effects, WayFound
from morphnet.wire.batch import Arrival, Endpoint
from morphnet.wire.candidates import HOST, LINE, MAPPED, SERVER_REFLEXIVE, STREAM, Candidate
from morphnet.wire.probes import ANSWER, ASK, EXPORT_LENGTH, Probe, open_probe, seal_probe, split_probe_export
from tests.nats import DOOR, Street

EXPORTED = bytes(range(EXPORT_LENGTH))
CALLER, CALLED = split_probe_export(EXPORTED, caller=True), split_probe_export(EXPORTED, caller=False)
THERE = Endpoint("203.0.113.9", 4500)
ELSEWHERE = Endpoint("203.0.113.10", 4500)
THERE_LOCAL = Candidate(HOST, THERE.host, THERE.port)


class AloneTestCase(SynchronousTestCase):
    """A checker, and somebody with the peer's keys or without them."""

    def setUp(self) -> None:
        self.street, self.now = Street(), 100.0
        self.effects = Effects()
        self.checker = Checker("phone", CALLER, self.street.random.randbytes)
        self.checker.use({DOOR: False}, [THERE_LOCAL], self.now)

    def sent(self) -> list[tuple[Endpoint, Probe]]:
        """What it has sent since the last look, opened by the peer."""
        sends, self.effects.sends = self.effects.sends, []
        return [(each.to, open_probe(CALLED, bytes(each.data))) for each in sends]

    def run_for(self, seconds: float) -> list[float]:
        """Let time pass; when something was sent."""
        end, times = self.now + seconds, []
        while (due := self.checker.due_at()) <= end:
            self.now = max(self.now, due)
            before = len(self.effects.sends)
            self.checker.tick(self.now, self.effects)
            times += [self.now] * (len(self.effects.sends) - before)
        self.now = end
        return times

    def hear(self, datagram: bytes, source: Endpoint = THERE, door: int = DOOR) -> None:
        """A datagram comes."""
        arrival = Arrival(door, source, memoryview(datagram), len(datagram))
        self.checker.received(arrival, datagram, self.now, self.effects)

    def say(self, probe: Probe, source: Endpoint = THERE, door: int = DOOR) -> bytes:
        """The peer sends a probe."""
        datagram = seal_probe(CALLED, probe, self.street.random.randbytes(12))
        self.hear(datagram, source, door)
        return datagram

    def ask(self, source: Endpoint = THERE, door: int = DOOR) -> None:
        """The peer asks."""
        self.say(Probe(ASK, self.street.random.randbytes(8), "", 0), source, door)

    def asked(self) -> Probe:
        """The one question that it has just sent."""
        self.checker.tick(self.now, self.effects)
        ((_, probe),) = self.sent()
        return probe

    def found(self) -> list[WayFound]:
        """What it has found."""
        return [event for event in self.effects.events if isinstance(event, WayFound)]


class QuestionTests(AloneTestCase):
    """Who is asked, when, and how often."""

    def test_rests(self) -> None:
        """Without a search nothing is sent, and it wants no turn; the peer's questions are answered all the same."""
        self.assertEqual(self.run_for(100), [])
        self.assertEqual(self.checker.due_at(), float("inf"))
        self.ask()
        self.assertEqual([(to, probe.kind) for to, probe in self.sent()], [(THERE, ANSWER)])
        self.assertEqual(self.run_for(100), [])

    def test_rests_again(self) -> None:
        """The same after a search."""
        self.checker.search(self.now)
        self.run_for(0.5)
        self.checker.rest()
        self.sent()
        self.ask()
        self.assertEqual([probe.kind for _, probe in self.sent()], [ANSWER])
        self.assertEqual(self.run_for(100), [])
        self.assertEqual((self.checker.pairs, self.checker.best()), ({}, None))

    def test_pauses(self) -> None:
        """A way that does not answer is asked seven times, ever less often, within 3.2 seconds; then never again."""
        self.checker.search(self.now)
        self.assertFalse(self.checker.due_at() == float("inf"))
        times = self.run_for(1000)
        pauses = [after - before for before, after in pairwise(times)]
        self.assertEqual(len(times), TRIES)
        self.assertAlmostEqual(pauses[0], FIRST_PAUSE)
        for before, after in pairwise(pauses):
            self.assertAlmostEqual(after, 1.5 * before)
        self.assertLess(times[-1] - times[0], 3.2)
        self.assertTrue(self.checker.due_at() == float("inf"))

    def test_spacing(self) -> None:
        """First questions go out one after the other, local addresses first, IPv6 before IPv4 of the same kind."""
        candidates = [Candidate(MAPPED, "203.0.113.3", 1), Candidate(SERVER_REFLEXIVE, "203.0.113.2", 1),
                  Candidate(HOST, "10.0.0.2", 1), Candidate(HOST, "fd73::2", 1)]  # fmt: skip
        self.checker.use({1: False, 2: True}, candidates, self.now)
        self.checker.search(self.now)
        times = self.run_for(0.05)
        self.assertEqual([to.host for to, _ in self.sent()], ["fd73::2", "10.0.0.2", "203.0.113.2", "203.0.113.3"])
        for before, after in pairwise(times):
            self.assertAlmostEqual(after - before, SPACING)

    def test_candidates_of_no_use(self) -> None:
        """Nobody is asked by UDP where he listens for TCP, or where only his TCP comes from; nor in another family."""
        candidates = [Candidate(kind, "203.0.113.2", 1) for kind in (STREAM, LINE)]
        self.checker.use({DOOR: False}, [*candidates, Candidate(HOST, "fd73::2", 1)], self.now)
        self.checker.search(self.now)
        self.assertEqual((self.run_for(10), (self.checker.due_at() == float("inf"))), ([], True))

    def test_news(self) -> None:
        """While it searches, a new address of the peer or socket of ours is tried at once; a socket gone is not."""
        self.checker.search(self.now)
        self.run_for(10)
        self.checker.use({DOOR: False, 2: False}, [THERE_LOCAL, Candidate(HOST, *ELSEWHERE[:2])], self.now)
        self.assertEqual(len(self.run_for(0.05)), 3)
        self.checker.use({2: False}, [THERE_LOCAL], self.now)
        self.assertEqual({door for door, _, _ in self.checker.pairs}, {2})

    def test_peer_gets_through(self) -> None:
        """A question of the peer from where we have had no answer is answered with a question at once."""
        self.checker.search(self.now)
        self.run_for(10)
        self.sent()
        self.ask()
        self.assertEqual(len(self.run_for(0)), 1)
        self.assertEqual([probe.kind for _, probe in self.sent()], [ANSWER, ASK])

    def test_search_anew(self) -> None:
        """A new search starts from nothing: what was proved before must prove itself again."""
        self.checker.search(self.now)
        self.say(Probe(ANSWER, self.asked().transaction, "", 0))
        self.assertIsNotNone(self.checker.best())
        self.checker.search(self.now)
        self.assertIsNone(self.checker.best())
        self.assertEqual(len(self.run_for(10)), TRIES)


class ProofTests(AloneTestCase):
    """What proves a way, and what does not."""

    def setUp(self) -> None:
        super().setUp()
        self.checker.search(self.now)
        self.answer = Probe(ANSWER, self.asked().transaction, "198.51.100.1", 4711)

    def test_answer(self) -> None:
        """An answer from where was asked proves a way, once; it is not asked any more."""
        self.now += 0.04
        self.say(self.answer)
        (found,) = self.found()
        self.assertEqual((found.session, found.door, found.remote, found.kind), ("phone", DOOR, THERE, HOST))
        self.assertAlmostEqual(found.rtt, 0.04)
        best = self.checker.best()
        assert best is not None
        self.assertEqual(best.seen_as, Endpoint("198.51.100.1", 4711))
        self.assertEqual(self.run_for(10), [])

    def test_replayed(self) -> None:
        """An answer that was heard before proves nothing, in this search or in the next."""
        datagram = self.say(self.answer)
        self.hear(datagram)
        self.assertEqual(len(self.found()), 1)
        self.checker.search(self.now)
        self.asked()
        self.hear(datagram)
        self.assertEqual((len(self.found()), self.checker.best()), (1, None))
        self.assertEqual(self.checker.counts["probes_unexpected"], 2)

    def test_from_elsewhere(self) -> None:
        """An answer from another address, or by another socket, than was asked proves neither way."""
        self.checker.use({DOOR: False, 2: False}, [THERE_LOCAL, Candidate(HOST, *ELSEWHERE[:2])], self.now)
        self.run_for(0.05)
        for source, door in ((ELSEWHERE, DOOR), (THERE, 2), (Endpoint("192.0.2.66", 1), DOOR)):
            self.say(self.answer, source, door)
        self.assertEqual((self.found(), self.checker.best()), ([], None))

    def test_guessed(self) -> None:
        """An answer to what was not asked proves nothing."""
        self.say(self.answer._replace(transaction=bytes(8)))
        self.assertEqual(self.found(), [])

    def test_forged(self) -> None:
        """Nonsense, an answer with another key and our own question sent back are counted and bring nothing."""
        question = seal_probe(CALLER, Probe(ASK, bytes(8), "", 0), bytes(12))
        other = split_probe_export(bytes(EXPORT_LENGTH), caller=False)
        for datagram in (question, CALLER.id, seal_probe(other, self.answer, bytes(12)), CALLER.id + bytes(56)):
            self.hear(datagram)
        self.assertEqual(self.checker.counts["probes_forged"], 4)
        self.assertEqual((self.found(), self.sent(), self.checker.counts["probes_received"]), ([], [], 0))

    def test_late(self) -> None:
        """An answer that comes after the search proves nothing."""
        self.checker.rest()
        self.say(self.answer)
        self.assertEqual(self.found(), [])

    def test_worth(self) -> None:
        """The quickest way is the best, but IPv6 and the same network are worth a little."""

        def way(rtt: float, host: str, kind: str = SERVER_REFLEXIVE, door: int = DOOR) -> Pair:
            return Pair(door, Endpoint(host, 1), kind, 0.0, rtt=rtt)

        ways = [way(0.100, "203.0.113.1"), way(0.105, "2001:db8::1"), way(0.110, "10.0.0.1", HOST, 2)]
        for better, worse in pairwise(reversed(ways)):
            self.assertTrue(Checker.better(better, worse))
            self.assertFalse(Checker.better(worse, better))
        self.assertTrue(Checker.better(way(0.05, "203.0.113.1"), ways[2]))
        self.checker.pairs = {(each.door, each.remote.host, 1): each for each in ways}
        self.assertEqual((self.checker.best(), len(self.checker.proven())), (ways[2], 3))


class BoundTests(AloneTestCase):
    """A peer, or who repeats what it sent, gets no more of us than is good."""

    def test_answers_limited(self) -> None:
        """A thousand questions in a moment get two hundred answers; a second later it may ask again."""
        for _ in range(1000):
            self.ask()
        self.assertEqual(len(self.sent()), ANSWERS_A_SECOND)
        self.assertEqual(self.checker.counts["probes_unanswered"], 1000 - ANSWERS_A_SECOND)
        self.now += 0.1
        for _ in range(1000):
            self.ask()
        self.assertAlmostEqual(len(self.sent()), ANSWERS_A_SECOND // 10, delta=1)

    def test_ways_limited(self) -> None:
        """However many addresses the peer names, or asks from, the ways are bounded."""
        many = [Candidate(HOST, f"10.1.{i // 250}.{i % 250 + 1}", 1) for i in range(5000)]
        self.checker.use({DOOR: False}, many, self.now)
        self.checker.search(self.now)
        self.assertEqual(len(self.checker.pairs), MOST_PAIRS)
        self.checker.use({DOOR: False}, [], self.now)
        self.checker.search(self.now)
        for port in range(1, 5000):
            self.now += 0.01
            self.ask(Endpoint("203.0.113.9", port))
        self.assertEqual(len(self.checker.pairs), MOST_PAIRS)
        self.assertGreater(self.checker.counts["too_many_ways"], 1000)

    def test_asked_limited(self) -> None:
        """A peer that asks for ever and never answers makes us remember no more than so many questions of a way."""
        self.checker.search(self.now)
        for _ in range(1000):
            self.ask()
            self.run_for(0.02)
        (way,) = self.checker.pairs.values()
        self.assertLessEqual(len(way.asked), MOST_ASKED)
        self.say(Probe(ANSWER, next(reversed(way.asked)), "", 0))
        self.assertEqual(len(self.found()), 1)

    def test_amplification(self) -> None:
        """Who repeats a question of the peer's from another's address brings that one a search, then three a time."""
        self.checker.use({DOOR: False}, [], self.now)
        self.checker.search(self.now)
        for most in (TRIES + 1, 3, 3):
            self.ask(ELSEWHERE)
            self.run_for(10)
            self.assertLessEqual(len(self.sent()), most)

    def test_callers(self) -> None:
        """Who asked while we did not search is asked when we do: few of them, and only of late."""
        for port in range(1, 5000):
            self.ask(Endpoint(ELSEWHERE.host, port))
            self.now += 0.01
        self.ask(Endpoint("127.0.0.1", 1))
        self.ask(ELSEWHERE, 9)
        self.checker.search(self.now)
        ports = {port for _, host, port in self.checker.pairs if host == ELSEWHERE.host}
        self.assertEqual(ports, set(range(5000 - MOST_CALLERS, 5000)))
        self.assertEqual(len(self.checker.pairs), MOST_CALLERS + 1)
        self.checker.rest()
        self.ask(ELSEWHERE)
        self.now += CALLER_FRESH
        self.checker.search(self.now)
        self.assertEqual(list(self.checker.pairs), [(DOOR, THERE.host, THERE.port)])

    def test_strange_sources(self) -> None:
        """A question from an address where nobody can be makes no way; by a socket that is none, no answer."""
        self.checker.search(self.now)
        self.ask(Endpoint("127.0.0.1", 1))
        self.assertEqual(list(self.checker.pairs), [(DOOR, THERE.host, THERE.port)])
        self.sent()
        self.ask(THERE, 9)
        self.assertEqual(self.sent(), [])
