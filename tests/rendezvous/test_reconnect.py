"""The life story of a client's control link."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.reconnect import PATIENCE, Patience, Reconnect, reconnect


class FakeDialer:
    """Remembers what it was told to do."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.phrases: list[str] = []
        self.on_dial: Callable[[], None] = lambda: None

    def dial(self) -> None:
        """Note it, and let the test react by `on_dial`."""
        self.done.append("dial")
        self.on_dial()

    def hang_up(self) -> None:
        self.done.append("hang up")

    def entered(self, state: str) -> None:
        self.phrases.append(state)


INPUTS: dict[str, Callable[[Reconnect], None]] = {
    "start": lambda link: link.start(),
    "opened": lambda link: link.opened(),
    "failed": lambda link: link.failed("connection refused"),
    "refused": lambda link: link.refused("certificate revoked", None),
    "lost": lambda link: link.lost("connection lost"),
    "wait_ended": lambda link: link.wait_ended(),
    "network_changed": lambda link: link.network_changed(),
    "stop": lambda link: link.stop(),
}
WAYS: dict[str, tuple[str, ...]] = {
    "idle": (),
    "trying": ("start",),
    "up": ("start", "opened"),
    "waiting": ("start", "failed"),
    "stopped": ("start", "stop"),
}
# state, input -> what the dialer is told to do, what is said
CHANGES: dict[tuple[str, str], tuple[list[str], str]] = {
    ("idle", "start"): (["dial"], "connecting"),
    ("idle", "stop"): ([], "stopped"),
    ("trying", "opened"): ([], "connected"),
    ("trying", "failed"): ([], "reconnecting in 0.1 s: connection refused"),
    ("trying", "refused"): ([], "refused, asking again in 60 s: certificate revoked"),
    ("trying", "wait_ended"): (["hang up"], "reconnecting in 0.1 s: no answer in 5 s"),
    ("trying", "stop"): (["hang up"], "stopped"),
    ("up", "lost"): ([], "reconnecting in 0.1 s: connection lost"),
    ("up", "stop"): (["hang up"], "stopped"),
    ("waiting", "wait_ended"): (["dial"], "connecting"),
    ("waiting", "network_changed"): (["dial"], "connecting"),
    ("waiting", "stop"): ([], "stopped"),
    ("stopped", "start"): (["dial"], "connecting"),
}


class ReconnectTests(SynchronousTestCase):
    """A link with even chances: no jitter."""

    def setUp(self) -> None:
        self.clock, self.dialer = Clock(), FakeDialer()
        self.chance = 0.5
        self.link = self.make()

    def make(self, patience: Patience = PATIENCE) -> Reconnect:
        """A link that is not started."""
        return reconnect(self.dialer, self.clock, lambda: self.chance, patience)

    def wait(self) -> float:
        """Let the only timer end; answers with how long it took."""
        (call,) = self.clock.getDelayedCalls()
        seconds = call.getTime() - self.clock.seconds()
        self.clock.advance(seconds)
        return seconds

    def test_matrix(self) -> None:
        """Every input in every state does what the table says, or nothing."""
        patience = Patience(steps=(0.1, 0.1))
        for state, way in WAYS.items():
            for name, happens in INPUTS.items():
                link = self.make(patience)
                for step in way:
                    INPUTS[step](link)
                self.dialer.done.clear()
                self.dialer.phrases.clear()
                happens(link)
                done, phrase = CHANGES.get((state, name), ([], ""))
                self.assertEqual(
                    (self.dialer.done, self.dialer.phrases), (done, [phrase] if phrase else []), (state, name)
                )
                link.stop()
                self.assertEqual(self.clock.getDelayedCalls(), [], (state, name))

    def test_back_off(self) -> None:
        """The waits grow to the longest and stay there, for ever."""
        self.link.start()
        waits: list[float] = []
        for _ in range(100):
            self.link.failed("connection refused")
            waits.append(round(self.wait(), 3))
        self.assertEqual(waits[:5], [0.05, 0.1, 0.2, 0.5, 0.5])
        self.assertEqual(waits[12:], [8.0] + [10.0] * 87)

    def test_dense_at_first(self) -> None:
        """In the first three seconds no wait is longer than 0.6 s, whatever the jitter."""
        self.chance = 1.0
        self.link.start()
        self.link.opened()
        self.clock.advance(60)
        self.link.lost("connection lost")
        while self.clock.seconds() < 63:
            self.assertLessEqual(self.wait(), 0.6001)
            self.link.failed("connection refused")

    def test_jitter(self) -> None:
        """Chance makes a wait a fifth longer or shorter, no more."""
        for chance, wait in ((0.0, 0.04), (1.0, 0.06)):
            self.chance = chance
            link = self.make()
            link.start()
            link.failed("connection refused")
            self.assertAlmostEqual(self.wait(), wait)
            link.stop()

    def test_attempt_limit(self) -> None:
        """A call that nobody answers is given up after 5 s."""
        self.link.start()
        self.clock.advance(4.9)
        self.assertEqual(self.dialer.done, ["dial"])
        self.clock.advance(0.2)
        self.assertEqual(self.dialer.done, ["dial", "hang up"])
        self.clock.advance(0.1)
        self.assertEqual(self.dialer.done, ["dial", "hang up", "dial"])

    def test_retry_after(self) -> None:
        """The server says when to ask again."""
        self.link.start()
        self.link.refused("too many sessions", 3.0)
        self.assertEqual(self.dialer.phrases[-1], "refused, asking again in 3 s: too many sessions")
        self.assertEqual(self.wait(), 3.0)

    def test_revoked(self) -> None:
        """A refusal for good is asked about once a minute."""
        self.link.start()
        for _ in range(3):
            self.link.refused("certificate revoked", None)
            self.assertEqual(self.wait(), 60.0)

    def test_stable_link_starts_over(self) -> None:
        """After a link that held, the first wait is the shortest again; after one that did not, it is not."""
        for held, wait in ((6.0, 0.05), (0.9, 0.1)):
            self.link.start()
            self.link.opened()
            self.clock.advance(held)
            self.link.lost("connection lost")
            self.assertAlmostEqual(self.wait(), wait)

    def test_restarted_again_and_again(self) -> None:
        """Links that open and soon are lost, with tries between that fail: each time the waits are short again."""
        self.link.start()
        for _ in range(20):
            self.link.opened()
            self.clock.advance(1.2)
            self.link.lost("connection lost")
            waited = self.wait()
            for _ in range(3):
                self.link.failed("connection refused")
                waited += self.wait()
            self.assertLess(waited, 1.0)

    def test_dropped_at_once(self) -> None:
        """A server that opens links only to drop them is called ever less often; one that holds one is forgiven."""
        self.link.start()
        waits = []
        for _ in range(20):
            self.link.opened()
            self.link.lost("goodbye")
            waits.append(round(self.wait(), 3))
        self.assertEqual(waits[:4], [0.1, 0.2, 0.5, 0.5])
        self.assertEqual(waits[-8:], [10.0] * 8)
        self.link.opened()
        self.clock.advance(21 * PATIENCE.stable)
        self.link.lost("goodbye")
        self.assertAlmostEqual(self.wait(), 0.05)

    def test_network_changed_starts_over(self) -> None:
        """A change of the network makes the next waits short again, even when it comes during a call."""
        self.link.start()
        for _ in range(20):
            self.link.failed("no route")
            self.wait()
        self.link.network_changed()
        self.link.failed("no route")
        self.assertAlmostEqual(self.wait(), 0.05)

    def test_fails_at_once(self) -> None:
        """A call that fails before `dial` returns is just another failure."""
        self.dialer.on_dial = lambda: self.link.failed("no route")
        self.link.start()
        self.assertEqual(self.dialer.done, ["dial"])
        self.wait()
        self.assertEqual(self.dialer.done, ["dial", "dial"])
        self.link.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
