"""The TUN door, over a file in memory; the real one is in tests/lab/test_doors.py."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.net.tun import (
    BUDGET,
    IFF_VNET_HDR,
    READS,
    TUN_F_TSO4,
    TUN_F_USO4,
    TUNGETIFF,
    TUNSETIFF,
    TUNSETOFFLOAD,
    TUNSETVNETHDRSZ,
    Tun,
)
from morphnet.wire.ip import TCP, UDP
from morphnet.wire.virtio import GSO_TCPV4, NEEDS_CSUM, PLAIN, Offload, encode_offload, ones_sum
from tests.net.fakes import FakeReactor, FakeTunFile
from tests.wire.test_segments import Naive


class FakeTun(Tun):
    """
    A TUN over FakeTunFile and a kernel that can do as much as it is told.

    `refusals` gives the error's number for a request, or for a request with one of these bits.
    """

    file: FakeTunFile
    open_error = 0
    refusals: dict[tuple[int, int], int]

    def clone(self) -> io.FileIO:
        if self.open_error:
            raise OSError(self.open_error, os.strerror(self.open_error))
        self.file = FakeTunFile()
        return self.file.as_file()

    def ioctl(self, descriptor: int, request: int, argument: bytes | int) -> bytes | int:
        bits = int.from_bytes(argument[16:18], "little") if isinstance(argument, bytes) else argument
        for (refused, mask), problem in self.refusals.items():
            if request == refused and (not mask or bits & mask):
                raise OSError(problem, os.strerror(problem))
        return b"lo".ljust(16, b"\0") + bytes(24) if request == TUNSETIFF else 0


def full(flow: int) -> bytes:
    """A packet as long as most links take."""
    return PLAIN + bytes([0x45]) + bytes(11) + flow.to_bytes(8, "big") + bytes(1480)


class TunTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.batches: list[list[bytes]] = []
        self.tun = FakeTun(self.reactor, "morph%d", self.note)
        self.tun.refusals = {}

    def note(self, packets: Sequence[memoryview]) -> None:
        self.batches.append([bytes(packet) for packet in packets])


class OpenTests(TunTests):
    def test_offloads(self) -> None:
        """The best offloads that the kernel takes are used; name and index are the kernel's."""
        self.tun.open()
        self.assertEqual((self.tun.offloads, self.tun.name, self.tun.index), (("tso", "uso"), "lo", 1))
        for refusals, offloads in (
            ({(TUNSETOFFLOAD, TUN_F_USO4): errno.EINVAL}, ("tso", "no uso")),
            ({(TUNSETOFFLOAD, TUN_F_TSO4): errno.EINVAL}, ("no tso", "no uso")),
            ({(TUNSETOFFLOAD, 0): errno.EINVAL}, ("no tso", "no uso")),
            ({(TUNSETIFF, IFF_VNET_HDR): errno.EINVAL}, ("no vnet_hdr", "no tso", "no uso")),
        ):
            self.setUp()
            self.tun.refusals = dict(refusals)
            self.tun.open()
            self.assertEqual(self.tun.offloads, offloads)

    def test_refusals(self) -> None:
        """Each refusal is one sentence that says what to do, and nothing stays open."""
        for opening, problem, words in (
            (True, errno.ENOENT, "there is no /dev/net/tun"),
            (True, errno.EACCES, "run as root or give CAP_NET_ADMIN"),
            (False, errno.EPERM, "run as root or give CAP_NET_ADMIN"),
            (False, errno.EBUSY, "another process uses TUN device morph%d"),
            (False, errno.EINVAL, "name of another network device"),
        ):
            self.setUp()
            if opening:
                self.tun.open_error = problem
            else:
                self.tun.refusals = {(TUNSETIFF, 0): problem}
            self.assertIn(words, str(self.assertRaises(HostError, self.tun.open)))
            self.assertEqual((self.tun.fileno(), self.reactor.readers), (-1, set()))
            self.assertTrue(opening or self.tun.file.closed)
        for name in ("", "a-name-of-16-byte"):
            tun = Tun(self.reactor, name, self.note)
            self.assertIn("1 to 15 characters", str(self.assertRaises(HostError, tun.open)))

    def test_header_size_is_ours(self) -> None:
        """A kernel that will not agree on 10 bytes is one without virtio headers."""
        self.tun.refusals = {(TUNSETVNETHDRSZ, 0): errno.EINVAL}
        self.tun.open()
        self.assertIn("no vnet_hdr", self.tun.offloads)


class ReadTests(TunTests):
    def setUp(self) -> None:
        super().setUp()
        self.tun.open()

    def test_one_batch_a_wake_up(self) -> None:
        """All that is there comes as one call, in order, each in a buffer of its own."""
        packets = [PLAIN + bytes([index]) * 60 for index in range(5)]
        self.tun.file.inbox.extend([*packets[:2], errno.EIO, *packets[2:]])
        self.tun.doRead()
        self.tun.doRead()
        self.assertEqual(self.batches, [packets])
        counters = self.tun.counters()
        self.assertEqual((counters["read_packets"], counters["read_bytes"], counters["error_EIO"]), (5, 350, 1))

    def test_alone(self) -> None:
        """Where one came alone, the next first one is handed over by itself, before the others are read."""
        for many in (1, 3, 2):
            self.tun.file.inbox.extend([PLAIN + bytes(60)] * many)
            self.tun.doRead()
        self.assertEqual([len(batch) for batch in self.batches], [1, 1, 2, 2])

    def test_budget(self) -> None:
        """A wake-up ends after READS reads, or BUDGET bytes."""
        self.tun.file.inbox.extend([b"x" * 70] * (READS + 1))
        self.tun.doRead()
        self.assertEqual(len(self.batches[0]), READS)
        self.tun.file.inbox.clear()
        self.tun.file.inbox.extend([bytes(65000)] * READS)
        self.tun.doRead()
        self.assertEqual(len(self.batches[1]), -(-BUDGET // 65000))

    def test_crowded(self) -> None:
        """More than a batch of full packets waits here: small ones behind them leave first."""
        large, small = [full(flow) for flow in range(2 * READS)], PLAIN + bytes([0x45]) + bytes(11) + b"s" * 60
        self.tun.file.inbox.extend([*large, *[small] * 3])
        self.tun.doRead()
        self.assertEqual((self.batches[0], self.reactor.writers), ([small] * 3 + large[: READS - 3], {self.tun}))
        self.tun.file.inbox.append(small)
        self.tun.doRead()
        self.assertEqual(len(self.batches), 1)  # it waits for `doWrite`
        self.tun.doWrite()
        self.assertEqual(self.batches[1], [small, *large[READS - 3 : -4]])
        self.tun.doWrite()
        self.assertEqual((self.batches[2], self.reactor.writers), (large[-4:], set()))
        self.assertEqual(self.tun.counters()["read_packets"], sum(map(len, self.batches)))

    def test_echoes_in_a_crowd(self) -> None:
        """However much more comes than leaves, an echo that the kernel took leaves within four turns."""
        flows, inbox = count(), self.tun.file.inbox
        inbox.extend(full(next(flows)) for _ in range(1000))
        for turn in range(100):
            inbox.append(PLAIN + bytes([0x45]) + bytes(11) + turn.to_bytes(8, "big") + b"echo" * 9)
            inbox.extend(full(next(flows)) for _ in range(3 * READS))
            self.tun.doRead()
            self.tun.doWrite()
            echoes = [int.from_bytes(each[22:30], "big") for batch in self.batches for each in batch if len(each) < 99]
            self.assertGreaterEqual(len(echoes), turn - 4)  # 1000 packets waited in front of the first
            self.assertEqual(echoes, list(range(len(echoes))))
        self.assertGreater(len(echoes), 98)

    def test_crowded_and_paused(self) -> None:
        """What waits here is handed over when the TUN is read again, and never when it was closed."""
        self.tun.file.inbox.extend(map(full, range(2 * READS)))
        self.tun.doRead()
        self.tun.pause()
        self.assertEqual(self.reactor.writers, set())
        self.tun.resume()
        self.assertEqual(self.reactor.writers, {self.tun})
        self.tun.close()
        self.tun.doWrite()
        self.assertEqual((len(self.batches), self.reactor.writers), (1, set()))

    def test_few_flows_are_not_kept(self) -> None:
        """A batch of super packets, of full ones of one flow, or of nothing but small ones goes its way at once."""
        for packet in (bytes(14000), full(1), bytes(70)):
            self.tun.file.inbox.extend([packet] * (READS + 1))
            self.tun.doRead()
            self.assertEqual((self.batches.pop(), self.reactor.writers), ([packet] * READS, set()))
            self.tun.file.inbox.clear()

    def test_pause(self) -> None:
        """A paused TUN is not read, whatever the reactor does in between."""
        self.assertEqual(self.reactor.readers, {self.tun})
        self.tun.pause()
        self.tun.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.reactor.readers, set())
        self.tun.resume()
        self.assertEqual(self.reactor.readers, {self.tun})

    def test_survives_its_reactor(self) -> None:
        """When the reactor gives the TUN up but the device is there, it goes on; after close it does not."""
        self.reactor.readers.clear()
        self.tun.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.reactor.readers, {self.tun})
        self.tun.close()
        self.tun.close()
        self.tun.connectionLost(Failure(ConnectionLost()))
        self.tun.resume()
        self.assertEqual((self.reactor.readers, self.tun.file.closed), (set(), True))

    def test_deleted(self) -> None:
        """Both ways to learn that the device was deleted close it and tell once."""
        told: list[HostError] = []
        self.tun.lost = told.append
        self.tun.file.inbox.extend([b"x" * 70, errno.EBADFD])
        self.tun.doRead()
        self.assertEqual((len(told), len(self.batches), self.reactor.readers), (1, 1, set()))
        self.tun.open()
        self.tun.refusals = {(TUNGETIFF, 0): errno.EBADFD}
        self.tun.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((len(told), self.tun.fileno()), (2, -1))
        self.tun.write([PLAIN + b"x" * 20])
        self.assertEqual(self.tun.dropped, {"EBADFD": 1})


class WriteTests(TunTests):
    def test_errors_are_counted(self) -> None:
        """A packet that the kernel refuses is dropped and counted by reason; the others are written."""
        self.tun.open()
        self.tun.file.refusals.extend([errno.EIO, 0, None, errno.EINVAL])
        packets = [PLAIN + bytes([index]) * 40 for index in range(5)]
        self.tun.write(packets)
        self.assertEqual(self.tun.file.written, [packets[1], packets[4]])
        self.assertEqual(self.tun.dropped, {"EIO": 1, "EAGAIN": 1, "EINVAL": 1})
        self.assertEqual((self.tun.written_packets, self.tun.counters()["dropped_EIO"]), (2, 1))

    def test_without_virtio_headers(self) -> None:
        """A kernel without them gets finished packets without the header, and gives the same shape as any other."""
        self.tun.refusals = {(TUNSETIFF, IFF_VNET_HDR): errno.EINVAL}
        self.tun.open()
        self.tun.file.inbox.append(b"E" * 40)
        self.tun.doRead()
        self.assertEqual(self.batches, [[PLAIN + b"E" * 40]])
        partial = encode_offload(Offload(NEEDS_CSUM, csum_start=20, csum_offset=16)) + bytes(range(40))
        super_packet = encode_offload(Offload(NEEDS_CSUM, GSO_TCPV4, 40, 1000, 20, 16)) + bytes(4000)
        self.tun.write([partial, super_packet, b"short", PLAIN + b"plain packet"])
        finished, plain = self.tun.file.written
        self.assertEqual(finished[:36] + finished[38:], bytes(range(36)) + bytes(range(38, 40)))
        self.assertEqual(0xFFFF - ones_sum(bytes(range(20, 40))), int.from_bytes(finished[36:38], "big"))
        self.assertEqual((plain, self.tun.dropped), (b"plain packet", {"EINVAL": 2}))

    def test_without_uso(self) -> None:
        """A kernel that cannot cut UDP gets single packets; TCP it cuts itself."""
        self.tun.refusals = {(TUNSETOFFLOAD, TUN_F_USO4): errno.EINVAL}
        self.tun.open()
        self.assertEqual(self.tun.offloads, ("tso", "no uso"))
        naive = Naive(4, UDP, b"x" * 250, 100)
        udp, tcp = bytes(naive.from_kernel()), bytes(replace(naive, protocol=TCP).from_kernel())
        self.tun.write([udp, tcp])
        *singly, last = self.tun.file.written
        self.assertEqual([naive.segmented(each)[0] for each in singly], naive.on_the_wire())
        self.assertEqual(last, tcp)
