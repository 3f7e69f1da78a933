"""What was set stays set: when it is looked at, what is said, and that it ends."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.journal import Change, Mended
from morphnet.host.rivals import BURST, LONGEST_REST
from morphnet.host.routing import Route, Rule
from morphnet.host.uplinks import WatchReactor
from morphnet.host.watch import EVERY, LONGEST_WAIT, QUIET, SAY_EVERY, HostWatch

RULE, ROUTE = Rule(4, 7399, 7300), Route("0.0.0.0/0", 7300, "morph0")
WALL = 1.7e9


class _Host:
    """A host from which somebody takes things: `gone` is what does not stand now."""

    def __init__(self) -> None:
        self.gone: list[Change] = []
        self.always = False  # they are gone again at once
        self.error = ""
        self.looks = 0

    def mend(self, spare: Callable[[Change], bool]) -> list[Mended]:
        self.looks += 1
        mended = [Mended(each, self.error) for each in self.gone if not spare(each)]
        if not self.always:
            self.gone = [each for each in self.gone if spare(each)]
        return mended

    def watched_files(self) -> set[str]:
        return set()


class _Reactor(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.readers: list[IReadDescriptor] = []  # each as often as it was added

    def addReader(self, reader: IReadDescriptor) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: IReadDescriptor) -> None: ...


def _as_reactor(reactor: _Reactor) -> WatchReactor:
    return reactor


class HostWatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor, self.host, self.said = _Reactor(), _Host(), list[str]()
        self.watch = HostWatch(_as_reactor(self.reactor), self.host, self.said.append, wall=lambda: WALL)
        self.watch.look()

    def pass_time(self, seconds: float, step: float = 0.05) -> None:
        self.reactor.pump([step] * round(seconds / step))

    def test_event(self) -> None:
        """A burst of events is one look, soon after its end, and the next regular one is counted from it."""
        for _ in range(4):
            self.watch.look_soon()
            self.reactor.advance(QUIET / 2)
        self.assertEqual(self.host.looks, 1)
        self.reactor.advance(QUIET)
        self.assertEqual(self.host.looks, 2)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)

    def test_endless_burst(self) -> None:
        """Events without end put a look off no longer than LONGEST_WAIT."""
        passed = 0.0
        while self.host.looks == 1 and passed < 10:
            self.watch.look_soon()
            self.reactor.advance(QUIET / 4)
            passed += QUIET / 4
        self.assertLessEqual(passed, LONGEST_WAIT + QUIET / 4)

    def test_regularly(self) -> None:
        """What nobody tells is found within EVERY; nothing happens in between."""
        self.host.gone = [RULE]
        self.reactor.advance(EVERY - 0.1)
        self.assertEqual((self.host.looks, self.host.gone), (1, [RULE]))
        self.reactor.advance(0.1)
        self.assertEqual((self.host.looks, self.host.gone), (2, []))

    def test_fails(self) -> None:
        """A look that fails in a way that nobody foresaw is not the last one, nor is one at the firewall."""
        self.watch.stop()
        fails = ["firewall", "mend"]

        def firewall() -> None:
            if "firewall" in fails:
                raise ZeroDivisionError

        class Failing(_Host):
            def mend(self, spare: Callable[[Change], bool]) -> list[Mended]:
                mended = super().mend(spare)
                if "mend" in fails:
                    raise ZeroDivisionError
                return mended

        host = Failing()
        watch = HostWatch(_as_reactor(self.reactor), host, self.said.append, firewall)
        self.assertRaises(ZeroDivisionError, watch.look)
        for looks in (2, 3):
            self.assertRaises(ZeroDivisionError, self.reactor.advance, EVERY)
            self.assertEqual(host.looks, looks)
            fails.pop()
        self.reactor.advance(EVERY)
        self.assertEqual((host.looks, len(self.reactor.getDelayedCalls())), (4, 1))

    def test_said(self) -> None:
        """It is said at once, then at most once in SAY_EVERY; the status has it always."""
        self.assertEqual(self.watch.warnings(), ())
        for gone in ([RULE, RULE], [ROUTE], [RULE]):
            self.host.gone = list(gone)
            self.watch.look()
        self.assertEqual(len(self.said), 1)
        self.assertIn("policy rules", self.said[0])
        rules, routes = self.watch.warnings()
        self.assertIn("policy rules, which morphnet needs, 2 times since", rules)
        self.assertIn("routes, which morphnet needs, once", routes)
        self.reactor.pump([EVERY] * int(SAY_EVERY / EVERY))
        self.assertEqual(len(self.said), 2)
        self.assertIn("routes", self.said[1])
        self.reactor.pump([EVERY] * 10)
        self.assertEqual(len(self.said), 2)

    def test_cannot(self) -> None:
        """That something cannot be set again is said with the reason."""
        self.host.gone, self.host.error = [RULE], "cannot add policy rule 7399: not permitted"
        self.watch.look()
        self.assertIn("it cannot be set again: cannot add policy rule 7399: not permitted", self.said[0])

    def test_storm(self) -> None:
        """Somebody who undoes it at once, and whom the kernel tells of, is answered ever more seldom, for all hours."""
        self.host.gone, self.host.always = [RULE], True
        for _ in range(round(3600 / QUIET)):
            self.watch.look_soon()
            self.reactor.advance(QUIET)
        (warning,) = self.watch.warnings()
        count = int(warning.split(" times since")[0].rpartition(" ")[2])
        self.assertLess(count, BURST + 10 + 3600 / LONGEST_REST)
        self.assertIn("so as not to fight", warning)
        self.assertLessEqual(len(self.said), 61)

    def test_after_a_rest(self) -> None:
        """What rests is set again when the rest ends, without an event."""
        self.host.always = True
        self.host.gone = [RULE]
        for _ in range(BURST + 2):
            self.watch.look()
        self.host.always = False
        self.pass_time(LONGEST_REST)
        self.assertEqual(self.host.gone, [])

    def test_given_up(self) -> None:
        """An ear that the reactor gives up is opened again, and what it did not tell is looked for."""
        self.watch.start()
        self.addCleanup(self.watch.stop)
        looks, ear = self.host.looks, self.reactor.readers[-1]
        ear.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.reactor.readers.count(ear), 2)
        self.assertGreaterEqual(ear.fileno(), 0)
        self.reactor.advance(QUIET)
        self.assertEqual(self.host.looks, looks + 1)

    def test_stop(self) -> None:
        """After `stop` nothing is looked at, and nothing waits."""
        self.watch.look_soon()
        self.watch.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
