"""Packets of many flows that came together: as if each had come alone."""

from __future__ import annotations

import struct

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.joining import joined
from morphnet.tunnel.totals import payload_of
from morphnet.wire.batch import VNET_HDR, Arrival, Departure
from morphnet.wire.virtio import GSO_TCPV4, NEEDS_CSUM
from tests.simulation import packet
from tests.tunnel.scenes import Scene, way
from tests.wire.test_rows import segment

SIZE, FLOWS = 200, 20


def given(port: int, slices: int = 1) -> bytes:
    """What a TUN gives of that flow: a segment, or a super packet of so many."""
    inner = bytearray(segment(port, bytes(SIZE * slices), 40 + SIZE * slices))
    inner[12:20] = packet(0)[VNET_HDR + 12 : VNET_HDR + 20]  # the client's addresses
    gso = (GSO_TCPV4, 40, SIZE) if slices > 1 else (0, 0, 0)
    return struct.pack("=BBHHHH", NEEDS_CSUM, *gso, 20, 16) + inner


def ports(delivers: list[bytearray]) -> list[int]:
    """Of which flow each is."""
    return [int.from_bytes(each[VNET_HDR + 20 : VNET_HDR + 22], "big") for each in delivers]


class MixedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.scene = Scene([way(0.02)])

    def _sent(self, *batch: bytes) -> Departure:
        """Those, of datagrams of one size, as one departure."""
        sends = self.scene.client.from_tun([memoryview(bytearray(each)) for each in batch], self.scene.now).sends
        (whole,) = joined(sends)
        return whole

    def _came(self, data: bytes, size: int) -> list[bytearray]:
        arrival = Arrival(0, self.scene.addresses[0], memoryview(data), size)
        return self.scene.server.from_path([arrival], self.scene.now + 0.01).delivers

    def test_together(self) -> None:
        """Segments and super packets, in the order in which they were sent, and counted as at the sender."""
        sent = self._sent(*(given(2000 + place, 1 + place % 3) for place in range(FLOWS)))
        delivered = self._came(bytes(sent.data), sent.size)
        self.assertEqual(ports(delivered), [2000 + place for place in range(FLOWS)])
        self.assertEqual([len(each) - VNET_HDR - 40 for each in delivered], [SIZE * (1 + p % 3) for p in range(FLOWS)])
        ends = self.scene.client_session, self.scene.server_session
        self.assertEqual(payload_of(ends[0])[0], payload_of(ends[1])[1])

    def test_as_alone(self) -> None:
        """Each one alone comes to the same bytes."""
        sent = self._sent(*(given(2000 + place) for place in range(FLOWS)))
        data = bytes(sent.data)
        together = self._came(data, sent.size)
        self.setUp()
        self._sent(*(given(2000 + place) for place in range(FLOWS)))  # its keys and numbers are the same
        alone = [
            each for at in range(0, len(data), sent.size) for each in self._came(data[at : at + sent.size], sent.size)
        ]
        self.assertEqual(together, alone)

    def test_one_is_bent(self) -> None:
        """It is counted, and the others pass."""
        sent = self._sent(*(given(2000 + place) for place in range(FLOWS)))
        data = bytearray(sent.data)
        data[7 * sent.size + 60] ^= 1
        delivered = self._came(bytes(data), sent.size)
        self.assertEqual(sorted(ports(delivered)), [2000 + place for place in range(FLOWS) if place != 7])
        self.assertEqual(self.scene.server_session.inbound.forged, 1)

    def test_again(self) -> None:
        """What came before is counted, and not delivered again."""
        sent = self._sent(*(given(2000 + place) for place in range(FLOWS)))
        self._came(bytes(sent.data)[: 5 * sent.size], sent.size)
        delivered = self._came(bytes(sent.data), sent.size)
        self.assertEqual(sorted(ports(delivered)), [2000 + place for place in range(5, FLOWS)])
        self.assertEqual(self.scene.server_session.counts["replayed"], 5)

    def test_half_came_by_another_path(self) -> None:
        """Of a super packet of which a slice has come by another path the others are delivered, once."""
        self.scene = Scene([way(0.02), way(0.02)], scheduler="redundant")
        batch = [memoryview(bytearray(given(2000 + place, 2))) for place in range(4)]
        sends = self.scene.client.from_tun(batch, self.scene.now).sends
        by_path = {door: b"".join(bytes(each.data) for each in sends if each.door == door) for door in (0, 1)}
        size = sends[0].size
        for door, data in ((0, by_path[0][2 * size : 3 * size]), (1, by_path[1])):
            arrival = Arrival(0, self.scene.addresses[door], memoryview(data), size)
            self.scene.server.from_path([arrival], self.scene.now + 0.01)
        ours = payload_of(self.scene.client_session)[0]
        self.assertEqual(payload_of(self.scene.server_session)[1], ours)
        self.assertEqual(self.scene.server_session.counts["duplicate"], 1)

    def test_spoofed(self) -> None:
        """One from an address that is not the client's is counted, and the others pass."""
        batch = [given(2000 + place) for place in range(FLOWS)]
        wrong = bytearray(batch[3])
        wrong[VNET_HDR + 15] ^= 1
        batch[3] = bytes(wrong)
        sent = self._sent(*batch)
        delivered = self._came(bytes(sent.data), sent.size)
        self.assertEqual(sorted(ports(delivered)), [2000 + place for place in range(FLOWS) if place != 3])
        self.assertEqual(self.scene.server_session.counts["spoofed"], 1)
