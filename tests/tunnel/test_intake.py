"""Small packets before large ones, each flow in its order."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.intake import BURST, ENOUGH_SMALL, MOST_BYTES, SHARE, SMALL, STANDING, Intake, crowded
from morphnet.wire.virtio import PLAIN


def packet(flow: int, size: int, number: int = 0, *, v6: bool = False) -> memoryview:
    """A virtio_net_hdr and as much of an IP packet as is looked at; its last bytes say which it is."""
    head = bytes([0x60]) + bytes(7) + bytes(32) if v6 else bytes([0x45]) + bytes(11) + bytes(8)
    whole = PLAIN + head + flow.to_bytes(4, "big")
    return memoryview(bytearray(whole.ljust(size - 4, b"\0") + number.to_bytes(4, "big")))


def numbers(packets: list[memoryview]) -> list[int]:
    return [int.from_bytes(each[-4:], "big") for each in packets]


class IntakeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.intake = Intake()

    def put(self, flow: int, size: int, number: int, *, v6: bool = False) -> None:
        self.intake.put(packet(flow, size, number, v6=v6))

    def test_small_ones_first(self) -> None:
        """A small packet overtakes the large ones of others, and none of its own flow."""
        for v6 in (False, True):
            for number in range(8):
                self.put(number % 2, 1500, number, v6=v6)
            self.put(9, SMALL, 100, v6=v6)
            self.put(1, SMALL, 101, v6=v6)
            self.put(9, SMALL, 102, v6=v6)
            self.assertEqual(numbers(self.intake.take(64)), [100, 102, 0, 1, 2, 3, 4, 5, 6, 7, 101])
            self.put(1, SMALL, 103, v6=v6)  # nothing of its flow waits any more
            self.put(0, 1500, 104, v6=v6)
            self.put(1, SMALL, 105, v6=v6)
            self.assertEqual(numbers(self.intake.take(64)), [103, 105, 104])
            self.assertFalse(self.intake)

    def test_large_ones_are_not_starved(self) -> None:
        """However many small ones there are, one packet of SHARE is a large one."""
        for number in range(100):
            self.put(1, 1500, number)
            self.put(2, 80, 1000 + number)
        taken = numbers(self.intake.take(40))
        self.assertEqual(sorted(taken), [*range(40 // SHARE), *range(1000, 1000 + 40 - 40 // SHARE)])
        self.assertEqual(len(self.intake.take(1000)), 160)

    def test_large_ones_behind_their_flow(self) -> None:
        """A large one does not overtake a small one of its flow, even where a place is kept for it."""
        for number in range(9):
            self.put(number, 80, number)
        self.put(8, 1500, 9)
        self.put(9, 1500, 10)
        self.assertEqual(numbers(self.intake.take(4)), [0, 1, 2, 3])
        self.assertEqual(numbers(self.intake.take(4)), [4, 5, 6, 7])
        self.assertEqual(numbers(self.intake.take(4)), [8, 9, 10])

    def test_bursts_and_standing_lines(self) -> None:
        """A burst finds the room of a TUN's queue; in a line that stands, what waits is bounded by less."""
        for number in range(BURST + 1):
            self.put(1, 1500, number)
        self.assertEqual((self.intake.dropped, len(self.intake.take(BURST - 1))), (1, BURST - 1))
        for number in range(2):
            self.put(1, 1500, number)
        self.assertEqual(len(self.intake.take(2)), 2)  # and one is left: it stands
        for number in range(BURST):
            self.put(1, 1500, number)
        self.assertEqual(self.intake.dropped, 1 + BURST - (STANDING - 1))
        self.assertEqual(len(self.intake.take(BURST)), STANDING)
        for number in range(BURST):  # it was empty since
            self.put(1, 1500, number)
        self.assertEqual(self.intake.dropped, 1 + BURST - (STANDING - 1))

    def test_small_ones_behind_their_flow(self) -> None:
        """They find room where a large one finds none, and are bounded too."""
        for number in range(BURST + 1):
            self.put(1, 1500, number)
        for number in range(BURST + 2):
            self.put(1, 80, number)
        self.assertEqual((self.intake.dropped, len(self.intake.take(3 * BURST))), (3, 2 * BURST))

    def test_wants(self) -> None:
        """No more is read while many small ones wait, so that the kernel's queue bounds them."""
        self.put(1, 1500, 0)
        self.assertTrue(self.intake.wants)
        for number in range(ENOUGH_SMALL):
            self.put(2, 80, number)
        self.assertFalse(self.intake.wants)
        self.intake.take(1000)
        self.assertFalse(self.intake.wants)  # nothing large: their order is that of the kernel

    def test_bytes_are_bounded(self) -> None:
        """Of long packets fewer wait."""
        for number in range(200):
            self.put(number, 60000, number)
        self.assertEqual(self.intake.dropped, 200 - MOST_BYTES // 60000)
        self.intake.clear()
        self.put(1, 60000, 1)
        self.assertEqual((len(self.intake.take(9)), self.intake.dropped), (1, 200 - MOST_BYTES // 60000))

    def test_copies(self) -> None:
        """What it was given may be overwritten at once."""
        view = packet(1, 1500, 7)
        self.intake.put(view)
        view[:] = bytes(len(view))
        self.assertEqual(numbers(self.intake.take(1)), [7])

    def test_fragments_keep_their_order(self) -> None:
        """The last one, a small one in which no ports are, leaves behind the others."""
        for v6 in (False, True):
            for number, size in enumerate((1500, 100)):
                whole = packet(number, size, number, v6=v6)
                if v6:
                    whole[len(PLAIN) + 6] = 44
                else:
                    whole[len(PLAIN) + 6] = 0x20 if not number else 0
                    whole[len(PLAIN) + 7] = number and 185
                self.intake.put(whole)
            self.assertEqual(numbers(self.intake.take(64)), [0, 1])

    def test_runts(self) -> None:
        """What is too short for a packet is nobody's flow, and kept as it is."""
        for size in (0, 1, 19):
            self.intake.put(memoryview(bytearray(PLAIN + bytes(size))))
        self.assertEqual([len(each) - len(PLAIN) for each in self.intake.take(64)], [0, 1, 19])


class CrowdedTests(SynchronousTestCase):
    def test_many_flows(self) -> None:
        """Full packets of many flows are, those of a few are not, nor is a batch of small or of super packets."""
        for flows, size, expected in ((64, 1500, True), (16, 1500, True), (2, 1500, False), (64, 80, False)):
            batch = [packet(number % flows, size) for number in range(64)]
            self.assertEqual(crowded(batch, 64 * size), expected)
        batch = [packet(number, 14000) for number in range(64)]
        self.assertFalse(crowded(batch, 64 * 14000))
