"""What concerns more than one part of a path."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.path import Path, State
from morphnet.wire.batch import Endpoint
from morphnet.wire.frames import Ack


def path_of(state: State = State.ACTIVE) -> Path:
    """A path whose address is validated, in that state since 1.0."""
    path = Path(0, 0, Endpoint("203.0.113.1", 8000), 1440, 0.0)
    path.validation.validated = True
    path.enter(state, 1.0)
    return path


class AckTests(SynchronousTestCase):
    def test_never_sent(self) -> None:
        """An Ack of what was never sent teaches nothing."""
        path = path_of()
        path.sent(1, 1000, 1000, 1.0, asks=True)
        self.assertEqual(path.acknowledge(Ack(0, 1, 0, 1_000_000, 2, 2000, 0, ((0, 1),)), 1.02), 0)
        self.assertEqual((path.rtt.smoothed, path.delivery.in_flight), (None, 1000))

    def test_learns(self) -> None:
        """A new highest number is a sample of the RTT, without what the peer waited; an older one is none."""
        path = path_of()
        for _ in range(2):
            path.sent(1, 1000, 1000, 1.0, asks=True)
        self.assertEqual(path.acknowledge(Ack(0, 1, 5000, 1_000_000, 1, 1000, 0, ((1, 1),)), 1.025), 1)
        self.assertAlmostEqual(path.rtt.smoothed or 0.0, 0.02)
        self.assertEqual(path.acknowledge(Ack(0, 0, 0, 1_000_000, 2, 2000, 0, ((0, 0),)), 1.5), 1)
        self.assertEqual((path.rtt.samples, path.delivery.in_flight), (1, 0))

    def test_allowance(self) -> None:
        """What is sent counts against what an address may be sent that is not validated."""
        path = path_of()
        path.validation.validated, path.validation.allowance = False, 1500
        path.sent(1, 1000, 1000, 1.0, asks=False)
        self.assertEqual((path.validation.allows(500), path.validation.allows(501)), (True, False))


class LifeTests(SynchronousTestCase):
    def test_proved(self) -> None:
        """A silent path lives when something is acknowledged that was sent since; then it is learned anew."""
        path = path_of()
        path.sent(3, 1000, 3000, 1.0, asks=True)
        path.rtt.add(0.02, now=1.0)
        path.enter(State.SILENT, 2.0)
        path.sent(1, 100, 100, 2.0, asks=False)
        old, new, never = (Ack(0, number, 0, 0, 1, 0, 0, ((number, number),)) for number in (2, 3, 4))
        self.assertEqual([path.proves_life(ack) for ack in (old, never)], [False, False])
        self.assertEqual(path.rtt.smoothed, 0.02)
        self.assertTrue(path.proves_life(new))
        self.assertEqual((path.life.proofs, path.rtt.smoothed), (1, None))

    def test_moved(self) -> None:
        """Another address is another way, of which nothing is known; another port is the same one."""
        for only_ports in (True, False):
            path = path_of()
            path.pacer.window.startup = False
            path.life.falls = 2
            path.moved(1, Endpoint("203.0.113.2", 8000), 3.0, only_ports=only_ports)
            self.assertEqual((path.door, path.moved_at, path.received.heard_at), (1, 3.0, 3.0))
            self.assertEqual(path.pacer.window.startup, not only_ports)
            self.assertEqual(path.life.falls, 2 if only_ports else 0)

    def test_counts_anew(self) -> None:
        """For a peer that never heard of the path, numbers begin again, and nothing is in flight."""
        path = path_of()
        path.sent(3, 1000, 3000, 1.0, asks=True)
        path.count_anew()
        self.assertEqual((path.delivery.number, path.delivery.acked, path.delivery.in_flight), (0, -1, 0))

    def test_peer_restarted(self) -> None:
        """A peer that is another process counts from the start: what came before is no replay."""
        path = path_of()
        path.shown = bytes(20)
        path.received.seen.add_run(9, 1)
        path.peer_restarted()
        self.assertEqual((path.received.seen.highest, path.shown), (-1, b""))


class OverflowTests(SynchronousTestCase):
    def test_size_is_trusted(self) -> None:
        """A queue that loses full runs says nothing about their size; that nothing of it passes any more does."""
        for passes in (True, False):
            path = Path(0, 0, Endpoint("203.0.113.1", 8000), 1440, 0.0)
            path.mtu.trust()
            for step in range(9):
                path.sent(4, 1440, 5760, step / 50, asks=True)
            path.sent(1, 1440 if passes else 100, 1440, 0.2, asks=True)
            path.acknowledge(Ack(0, 36, 0, 10_000, 1, 1440, 20_000, ((36, 36),)), 1.0)
            self.assertEqual(path.mtu.proven == path.mtu.ceiling, passes)
