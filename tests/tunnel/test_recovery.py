"""What is lost on a path, and what of it goes again (B10): told in a round trip, sent while it is of use."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.events import Effects
from morphnet.tunnel.outbound import Outbound
from morphnet.tunnel.path import Path
from morphnet.tunnel.recovery import FORGET, REPAIRS, Recovery, sent_at
from morphnet.wire.batch import VNET_HDR
from morphnet.wire.frames import Ack
from morphnet.wire.segments import Run
from tests.inner_tcp import ACK, SEGMENT, packet
from tests.simulation import read
from tests.tunnel.test_outbound import outbound

RTT = 0.04  # seconds


def segment(size: int = SEGMENT, *, tcp: bool = True) -> Run:
    """One packet of TCP, or as long a one of something else."""
    plain = packet(1, size, 1, up=True)[VNET_HDR:] if tcp else bytes(size)
    return Run(b"", plain, size, 0, 1)


class Sender:
    """A sending half with one path, of which a test says what arrives."""

    def __init__(self, paths: int = 1, wait: float = 0.25, **tuning: object) -> None:
        self.out: Outbound = outbound(paths, **tuning)
        self.out.patience.tcp = wait
        self.now = 10.0
        self.sent: list[tuple[int, int]] = []  # (path, sequence) of each datagram
        self.ranges: dict[int, list[tuple[int, int]]] = {}
        self.path = self.out.paths[0]
        for each in self.out.paths.values():
            each.rtt.add(RTT, now=self.now)

    def _note(self, effects: Effects) -> None:
        for each in effects.sends:
            header = read(bytes(each.data))
            self.sent.append((header.path, header.sequence))

    def send(self, *runs: Run) -> None:
        """These, now."""
        effects = Effects()
        for run in runs:
            self.out.offer(run, self.now, effects)
        self._note(effects)

    def send_each(self, count: int, every: float = 0.004, **kind: bool) -> None:
        """So many packets."""
        for _ in range(count):
            self.send(segment(**kind))
            self.now += every

    def acknowledge(self, *lost: int, at: float | None = None, path: Path | None = None) -> None:
        """All that the path was given until `at` (a round trip ago) has arrived, but for these packet numbers."""
        path = path or self.path
        at = self.now - RTT if at is None else at
        sent = [flight for flight in path.delivery.flights if flight.at <= at + 1e-9]
        largest = max([flight.first + flight.count - 1 for flight in sent], default=path.delivery.acked)
        newest = max([flight.at for flight in sent], default=at)
        ranges, last = [], largest
        for number in (*sorted((each for each in lost if each < largest), reverse=True), -1):
            if number < last:
                ranges.append((number + 1, last))
            last = number - 1
        echo = round(newest * 1e6) & 0xFFFFFFFF
        path.acknowledge(Ack(path.id, largest, 0, echo, largest + 1, 0, 0, tuple(ranges)), self.now)
        effects = Effects()
        self.out.drain(self.now, effects)
        self._note(effects)

    def again(self) -> list[int]:
        """Sequences that were sent more than once, each as often as it was again: by two datagrams, if by chance."""
        seen, twice = set[int](), []
        for _, sequence in self.sent:
            if sequence in seen:
                twice.append(sequence)
            seen.add(sequence)
        return twice


class TellingTests(SynchronousTestCase):
    def test_within_a_round_trip(self) -> None:
        """What was sent a little before something that arrived is lost; what was sent with it may only be late."""
        sender = Sender()
        sender.send_each(3, every=0.0)
        sender.now += RTT
        sender.acknowledge(1)
        self.assertEqual(sender.again(), [])
        sender.send_each(4)
        sender.now += RTT
        sender.acknowledge(1)
        self.assertEqual(sender.again(), [1, 1])

    def test_window_is_told(self) -> None:
        """What controls congestion hears of each loss, and what is lost is no longer in flight."""
        sender = Sender()
        sender.send_each(8)
        sender.now += RTT
        path, each = sender.path, sender.path.delivery.flights[0].size
        ack = Ack(0, 7, 0, round(path.delivery.flights[7].at * 1e6) & 0xFFFFFFFF, 8, 0, 0, ((4, 7), (0, 1)))
        settled = path.delivery.settle(ack, sender.now)
        self.assertEqual((settled.packets, settled.bytes, settled.lost), (6, 6 * each, 2 * each))
        self.assertEqual(path.delivery.in_flight, 0)

    def test_late_and_not_lost(self) -> None:
        """A path that changes the order is learned: what comes as late as that is not taken for lost again."""
        sender = Sender()
        sender.send_each(8)
        sender.now += RTT
        sender.acknowledge(2)
        self.assertEqual(sender.again(), [2, 2])
        recovery = sender.path.delivery.recovery
        self.assertFalse(recovery.overtakes(sender.now))
        sender.acknowledge()  # it comes
        self.assertTrue(recovery.overtakes(sender.now))
        self.assertFalse(recovery.overtakes(sender.now + FORGET + 1))
        sender.send_each(8)
        sender.now += RTT
        sender.acknowledge(sender.path.delivery.number - 5)
        self.assertEqual(sender.again(), [2, 2])

    def test_lies(self) -> None:
        """Whatever an Ack says of when its packet was sent, it was in the past, and nothing newer is overtaken."""
        for echo in (0, 1 << 31, 0xFFFFFFFF, 20_000_000):
            self.assertLessEqual(sent_at(Ack(0, 1, 0, echo, 0, 0, 0, ()), 10.0), 10.0)
        self.assertEqual(Recovery().tolerance(0.0, 100.0), 0.001)


class RepairTests(SynchronousTestCase):
    def test_first_in_its_lane(self) -> None:
        """It goes before what waits of its lane, and by whichever path is first to have room."""
        sender = Sender(2)
        sender.send_each(8)
        first = [sequence for path, sequence in sender.sent if path == 0]
        while not sender.out.egress:
            sender.send(segment())
        sender.now += RTT
        before = len(sender.sent)
        sender.acknowledge(1)
        self.assertEqual(sender.sent[before][1], first[1])

    def test_few_times(self) -> None:
        """However often it is lost, a slice is sent again a few times, and not after the other end has gone on."""
        for wait, times in ((5.0, REPAIRS), (0.1, 1)):
            sender = Sender(wait=wait)
            sender.send_each(2)
            lost = [1]
            for _ in range(3 * REPAIRS):
                sender.send_each(10)
                sender.now += RTT
                sender.acknowledge(*lost)
                lost = [flight.first for flight in sender.path.delivery.flights if flight.again] or lost
            self.assertEqual(sender.again(), [1, 1] * times, wait)

    def test_no_more_than_was_sent(self) -> None:
        """A peer for which all is lost is not sent more again than was sent."""
        sender = Sender(wait=60.0)
        for _ in range(200):
            sender.send_each(2)
            sender.now += RTT
            lost = range(max(0, sender.path.delivery.number - 500), sender.path.delivery.number - 1)
            sender.acknowledge(*lost)
        self.assertGreater(sender.path.delivery.resent_packets, 50)
        self.assertLessEqual(2 * sender.path.delivery.resent_packets, sender.path.delivery.sent_packets + 64)

    def test_of_use(self) -> None:
        """Nothing goes again that would come too late, no bare acknowledgement, and nothing where order is not kept."""
        for expected, kind, wait, tuning in (
            ([2, 2], {}, 0.25, {}),
            ([], {}, 0.0, {}),
            ([], {"tcp": False}, 0.25, {"reorder_ms": 20}),
            ([2, 2], {"tcp": False}, 0.25, {"reorder_ms": 150}),
            ([], {"size": ACK}, 0.25, {}),
            ([], {}, 0.25, {"scheduler": "flow"}),
        ):
            sender = Sender(wait=wait, **tuning)
            for _ in range(8):
                sender.send(segment(**kind))
                sender.now += 0.004
            sender.now += RTT
            sender.acknowledge(2)
            self.assertEqual(sender.again(), expected, (kind, wait, tuning))
            self.assertEqual(sender.path.delivery.recovery.spilt, [])

    def test_address_changed(self) -> None:
        """What got lost when a NAT forgot the path goes again, however late; TCP has helped itself by then."""
        for until, tcp, expected in ((0.0, False, []), (20.0, False, [2, 2]), (20.0, True, [])):
            sender = Sender(reorder_ms=20)
            sender.path.unsettled_until = until
            for _ in range(8):
                sender.send(segment(tcp=tcp))
                sender.now += 0.004
            sender.now += 1.0
            sender.acknowledge(2, at=sender.now - 1.0)
            self.assertEqual(sender.again(), expected)

    def test_without_losses(self) -> None:
        """Without a loss nothing is remembered of it, and nothing goes again."""
        sender = Sender()
        for _ in range(50):
            sender.send_each(4)
            sender.now += RTT
            sender.acknowledge()
        self.assertEqual((sender.again(), len(sender.path.delivery.recovery.doubted)), ([], 0))
