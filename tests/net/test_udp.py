"""The UDP door, over a socket in memory; the real one is in tests/lab/test_doors.py."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.net.stamps import SCM_TIMESTAMPNS, Stamps
from morphnet.net.udp import BACKLOG, BUDGET, KNOWN, READS, UdpDoor
from morphnet.net.udpsocket import IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, SO_RCVBUFFORCE, UDP_GRO
from morphnet.wire.batch import MAX_BATCH, Arrival, Departure, Endpoint
from tests.net.fakes import FakeReactor, FakeSocket

PEER = ("192.0.2.9", 5000)
TO = Endpoint(*PEER)


class OpenTests(SynchronousTestCase):
    def opened(self, fake: FakeSocket, **binding: object) -> UdpDoor:
        door = UdpDoor(FakeReactor(), 3, lambda arrivals: None, **binding)  # type: ignore[arg-type]
        door.make_socket = fake.as_socket  # type: ignore[method-assign]
        door.open()
        return door

    def test_options_and_local(self) -> None:
        """Path MTU discovery is ours, GRO is on, and `local` is what the kernel bound."""
        fake = FakeSocket()
        door = self.opened(fake, host="192.0.2.1", device="eth7")
        self.assertIn((socket.IPPROTO_IP, IP_MTU_DISCOVER, 3), fake.options)
        self.assertIn((socket.IPPROTO_UDP, UDP_GRO, 1), fake.options)
        self.assertIn((socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth7\0"), fake.options)
        self.assertNotIn((socket.IPPROTO_IP, 8, 1), fake.options)
        self.assertEqual(door.local, ("192.0.2.1", 40000))
        self.assertEqual(door.offloads(), ("gso", "gro"))

    def test_ipv6_wildcard(self) -> None:
        """An IPv6 door takes no IPv4 and learns the address asked."""
        fake = FakeSocket(socket.AF_INET6)
        self.opened(fake, host="::", port=8000)
        self.assertIn((socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1), fake.options)
        self.assertIn((socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1), fake.options)
        self.assertIn((socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, 3), fake.options)

    def test_buffers_without_privilege(self) -> None:
        """Where forcing the buffer is refused, the plain option asks for it."""
        fake = FakeSocket()
        fake.refused_options = {(socket.SOL_SOCKET, SO_RCVBUFFORCE)}
        self.opened(fake)
        self.assertIn((socket.SOL_SOCKET, socket.SO_RCVBUF, UdpDoor.buffer), fake.options)

    def test_without_gro(self) -> None:
        """A kernel without UDP_GRO is used as it is."""
        fake = FakeSocket()
        fake.refused_options = {(socket.IPPROTO_UDP, UDP_GRO)}
        self.assertEqual(self.opened(fake).offloads(), ("gso", "no gro"))

    def test_refusals(self) -> None:
        """Each refusal is one sentence, and the socket is closed again."""
        for problem, words in (
            (errno.EADDRINUSE, "another process uses it"),
            (errno.EADDRNOTAVAIL, "no such address"),
            (errno.EACCES, "above 1023"),
        ):
            fake = FakeSocket()
            fake.bind_error = problem
            self.assertIn(words, str(self.assertRaises(HostError, self.opened, fake, port=80)))
            self.assertTrue(fake.closed)
        fake = FakeSocket()
        fake.refused_options = {(socket.SOL_SOCKET, socket.SO_BINDTODEVICE)}
        self.assertIn("CAP_NET_RAW", str(self.assertRaises(HostError, self.opened, fake, device="eth7")))
        self.assertIn("numeric", str(self.assertRaises(HostError, self.opened, FakeSocket(), host="example.org")))


class DoorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.fake, self.reactor = FakeSocket(), FakeReactor()
        self.batches: list[list[tuple[Endpoint, bytes, int]]] = []
        self.door = UdpDoor(self.reactor, 3, self.note)
        self.door.make_socket = self.fake.as_socket  # type: ignore[method-assign]
        self.door.open()

    def note(self, arrivals: Sequence[Arrival]) -> None:
        self.assertTrue(all(each.door == 3 for each in arrivals))
        self.batches.append([(each.source, bytes(each.data), each.size) for each in arrivals])


class ReceiveTests(DoorTests):
    def arrive(self, data: bytes, gro: int = 0, asked: str = "", flags: int = 0) -> None:
        ancillary = []
        if asked:
            ancillary.append((0, 8, bytes(4) + socket.inet_aton(asked) + socket.inet_aton(asked)))
        if gro:
            ancillary.append((17, 104, gro.to_bytes(4, "little")))
        self.fake.inbox.append((data, ancillary, flags, PEER))

    def test_one_batch_a_wake_up(self) -> None:
        """All that is there comes as one call, in order, with sizes and the address asked."""
        self.arrive(b"a" * 2500, gro=1000, asked="192.0.2.1")
        self.arrive(b"b" * 700)
        self.door.doRead()
        expected = [(Endpoint(*PEER, "192.0.2.1"), b"a" * 2500, 1000), (TO, b"b" * 700, 700)]
        self.assertEqual(self.batches, [expected])
        self.assertEqual((self.door.received, self.door.received_bytes), (4, 3200))

    def test_alone(self) -> None:
        """Where one came alone, the next first one is handed over by itself, before the others are received."""
        for many in (1, 3, 2):
            for _ in range(many):
                self.arrive(b"x")
            self.door.doRead()
        self.assertEqual([len(batch) for batch in self.batches], [1, 1, 2, 2])

    def test_late(self) -> None:
        """What waited with the kernel until we ran is told, and is not taken for an address that was asked."""
        waits: list[float] = []
        self.door._received = lambda arrivals: waits.extend(each.late for each in arrivals)
        self.door._stamps = Stamps(lambda: 5 * 10**9, iter((0.0, 9.0)).__next__)
        for ago in (2, 1):
            self.arrive(b"x")
            data, ancillary, flags, address = self.fake.inbox.pop()  # type: ignore[misc]
            stamp = struct.pack("@ll", 5 - ago, 0)
            self.fake.inbox.append((data, [*ancillary, (socket.SOL_SOCKET, SCM_TIMESTAMPNS, stamp)], flags, address))
        self.door.doRead()
        self.assertEqual((waits, [each.local for each in self.door._sources.values()]), ([2.0, 1.0], [""]))

    def test_budget(self) -> None:
        """A wake-up ends after READS receives, or BUDGET bytes."""
        for _ in range(READS + 1):
            self.arrive(b"x")
        self.door.doRead()
        self.assertEqual(len(self.batches[0]), READS)
        self.fake.inbox.clear()
        for _ in range(READS):
            self.arrive(bytes(60000))
        self.door.doRead()
        self.assertEqual(len(self.batches[1]), -(-BUDGET // 60000))

    def test_errors_do_not_disturb(self) -> None:
        """An ICMP error, a cut receive and an empty datagram are counted; what lies behind them is received."""
        self.fake.inbox.append(errno.ECONNREFUSED)
        self.arrive(b"cut", flags=socket.MSG_TRUNC)
        self.arrive(b"")
        self.arrive(b"good")
        self.door.doRead()
        self.assertEqual([data for _, data, _ in self.batches[0]], [b"good"])
        self.assertEqual((self.door.truncated, self.door.empty, self.door.errors), (1, 1, {"ECONNREFUSED": 1}))

    def test_nothing_there(self) -> None:
        """A wake-up for nothing calls nobody."""
        self.door.doRead()
        self.assertEqual(self.batches, [])

    def test_survives_its_reactor(self) -> None:
        """When the reactor gives the door up, it clears the error and goes on; after close it does not."""
        self.reactor.readers.clear()
        self.fake.pending_error = errno.EHOSTUNREACH
        self.door.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((self.reactor.readers, self.fake.pending_error), ({self.door}, 0))
        self.assertEqual(self.door.errors, {"EHOSTUNREACH": 1})
        self.door.close()
        self.door.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((self.reactor.readers, self.door.fileno()), (set(), -1))

    def test_addresses_are_bounded(self) -> None:
        """Datagrams from ever new addresses do not grow the memory of them."""
        for port in range(1, KNOWN + 200):
            self.fake.inbox.append((b"x", [], 0, ("192.0.2.9", port)))
        while self.fake.inbox:
            self.door.doRead()
        self.assertLessEqual(len(self.door._sources), KNOWN)
        self.assertEqual(self.door.received, KNOWN + 199)

    def test_link_local(self) -> None:
        """IPv6 link-local addresses keep their interface on both sides."""
        raw = socket.inet_pton(socket.AF_INET6, "fe80::1")
        self.fake.inbox.append((b"x", [(41, 50, raw + b"\4\0\0\0")], 0, ("fe80::2", 9, 0, 4)))
        self.door.doRead()
        self.assertEqual(self.batches[0][0][0], Endpoint("fe80::2%4", 9, "fe80::1%4"))


class SendTests(DoorTests):
    def run_of(self, count: int, size: int = 1000) -> bytes:
        return b"".join(index.to_bytes(2, "big") * (size // 2) for index in range(count))

    def datagrams(self) -> list[bytes]:
        return [data for data, _, _ in self.fake.sent]

    def test_one_call_for_a_run(self) -> None:
        """Forty datagrams leave by one system call, from the address that was asked."""
        data = self.run_of(40)
        self.door.send([Departure(3, TO._replace(local="192.0.2.1"), data, 1000)])
        local = (0, 8, bytes(4) + socket.inet_aton("192.0.2.1") + bytes(4))
        segment = (17, 103, (1000).to_bytes(2, "little"))
        self.assertEqual(self.fake.sent, [(data, (segment, local), PEER)])
        self.assertEqual((self.door.sent, self.door.sent_bytes, self.door.send_calls), (40, 40000, 1))

    def test_no_gso_for_one(self) -> None:
        """A datagram not longer than the segment size is sent without GSO."""
        self.door.send([Departure(3, TO, b"x" * 999, 1000), Departure(3, TO, b"y" * 1000, 1000)])
        self.assertEqual(self.fake.sent, [(b"x" * 999, (), PEER), (b"y" * 1000, (), PEER)])

    def test_too_long_for_one_call(self) -> None:
        """More than 64 segments or 65507 bytes are split at a datagram's edge."""
        data = self.run_of(100)
        self.door.send([Departure(3, TO, data, 1000)])
        self.assertEqual([len(piece) for piece in self.datagrams()], [64000, 36000])
        self.fake.sent.clear()
        data = self.run_of(60, 1400)
        self.door.send([Departure(3, TO, data, 1400)])
        self.assertEqual(b"".join(self.datagrams()), data)
        self.assertTrue(all(len(piece) <= MAX_BATCH and len(piece) % 1400 == 0 for piece in self.datagrams()))

    def test_gso_refused(self) -> None:
        """Every refusal of GSO falls back to single datagrams, once and for all on that way."""
        for refusal in (errno.EINVAL, errno.EIO, errno.ENOPROTOOPT, errno.EMSGSIZE):
            self.setUp()
            self.fake.gso_error = refusal
            self.door.send([Departure(3, TO, b"x" * 2500, 1000)] * 2)
            self.assertEqual([len(each) for each in self.datagrams()], [1000, 1000, 500] * 2)
            self.assertEqual((self.door.send_calls, self.door.sent, self.door.refused), (7, 6, 0))
            self.assertEqual(self.door.offloads(), ("no gso", "gro"))
            self.fake.gso_error = 0
            self.door.send([Departure(3, Endpoint("192.0.2.8", 1), b"x" * 2500, 1000)])
            self.assertEqual(self.datagrams()[-1], b"x" * 2500)

    def test_longer_than_the_mtu(self) -> None:
        """Datagrams over the device's MTU are told once a run, the rest goes out, and GSO stays."""
        told: list[Departure] = []
        self.door.too_big = told.append
        self.fake.mtu = 1200
        run, single = Departure(3, TO, b"x" * 4100, 1300), Departure(3, TO, b"y" * 1201, 1201)
        self.door.send([run, single, Departure(3, TO, b"z" * 2400, 1200)])
        self.assertEqual(told, [run, single])
        self.assertEqual(self.datagrams(), [b"x" * 200, b"z" * 2400])
        self.assertEqual((self.door.refused, self.door.sent, self.door.offloads()), (4, 3, ("gso", "gro")))

    def test_waits_for_a_writable_socket(self) -> None:
        """What a full buffer left over, and all that comes after, leaves in order at the next writable event."""
        buffer = bytearray(b"a" * 3000)
        self.fake.refusals.append(errno.EAGAIN)
        self.door.send([Departure(3, TO, memoryview(buffer), 1000), Departure(3, TO, b"b" * 1001, 1001)])
        buffer[:] = b"!" * 3000
        self.assertEqual((self.fake.sent, self.reactor.writers), ([], {self.door}))
        self.fake.refusals.append(errno.EAGAIN)
        self.door.doWrite()
        self.assertEqual((self.fake.sent, self.reactor.writers), ([], {self.door}))
        self.door.doWrite()
        self.assertEqual(self.datagrams(), [b"a" * 3000, b"b" * 1001])
        self.assertEqual((self.reactor.writers, self.door.counters()["waiting_bytes"]), (set(), 0))

    def test_waits_in_the_middle_of_a_run(self) -> None:
        """Single datagrams, and pieces of a long run, that went out before EAGAIN are not sent twice."""
        self.fake.gso_error = errno.EINVAL
        self.fake.refusals.extend([0, 0, errno.EAGAIN])
        data = self.run_of(5)
        self.door.send([Departure(3, TO, data, 1000)])
        self.assertEqual(len(self.fake.sent), 1)
        self.door.doWrite()
        self.assertEqual(b"".join(self.datagrams()), data)
        self.setUp()
        self.fake.refusals.extend([0, errno.EAGAIN])
        data = self.run_of(200)
        self.door.send([Departure(3, TO, data, 1000)])
        self.assertEqual(len(self.fake.sent), 1)
        self.door.doWrite()
        self.assertEqual(b"".join(self.datagrams()), data)
        self.assertEqual(self.door.sent, 200)

    def test_backlog_is_bounded(self) -> None:
        """What waits never exceeds BACKLOG bytes; the rest is counted as refused, also at close."""
        self.fake.refusals.append(errno.EAGAIN)
        self.door.send([Departure(3, TO, bytes(60000), 1000)] * 10)
        waiting = self.door.counters()["waiting_bytes"]
        self.assertEqual(waiting, BACKLOG // 60000 * 60000)
        self.assertEqual(self.door.refused, 60 * 10 - waiting // 1000)
        self.door.close()
        self.assertEqual((self.door.refused, self.reactor.writers, self.fake.closed), (600, set(), True))
        self.door.send([Departure(3, TO, b"x", 1)])
        self.assertEqual(self.door.refused, 601)

    def test_errors_are_counted(self) -> None:
        """A dead interface, a firewall or an unreachable net costs the datagrams and nothing else."""
        for problem in ("ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "EPERM", "ENODEV", "ENOBUFS", "ENETDOWN"):
            self.fake.refusals.append(getattr(errno, problem))
            self.door.send([Departure(3, TO, b"x" * 3000, 1000)])
            self.assertEqual(self.door.counters()[f"error_{problem}"], 1)
        self.assertEqual((self.door.refused, self.fake.sent), (21, []))

    def test_unfit_addresses(self) -> None:
        """An address of the other family, or none at all, is counted."""
        for host in ("2001:db8::1", "example.org", "fe80::1%nosuch0"):
            self.door.send([Departure(3, Endpoint(host, 1), b"x", 1)])
        self.assertEqual((self.door.refused, self.door.errors), (3, {"EAFNOSUPPORT": 3}))

    def test_closed_by_the_callback(self) -> None:
        """Closing the door while a run is being sent is safe."""
        self.door.too_big = lambda departure: self.door.close()
        self.fake.mtu = 500
        self.door.send([Departure(3, TO, b"x" * 2400, 1000), Departure(3, TO, b"y", 1)])
        self.assertEqual((self.fake.sent, self.door.refused), ([], 4))
