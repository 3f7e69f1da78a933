"""What a session has carried is counted once, at both ends alike, by whatever ways it went and however often."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.totals import payload_of, total_of
from morphnet.wire.batch import VNET_HDR, Arrival
from morphnet.wire.carried import Carried
from tests.simulation import packet
from tests.tunnel.scenes import Scene, way
from tests.wire.test_segments import Naive

SLICE, SLICES, HEADERS = 1300, 40, 40  # bytes, packets, bytes


def super_packet(number: int) -> bytes:
    """40 packets of TCP and an empty one's worth of headers each, as a kernel hands them over at once."""
    given = bytearray(Naive(4, 6, bytes(SLICES * SLICE - 7), SLICE, seq=number * SLICES * SLICE).from_kernel())
    given[VNET_HDR + 12 : VNET_HDR + 20] = packet(0)[VNET_HDR + 12 : VNET_HDR + 20]  # the client's addresses
    return bytes(given)


class PayloadTests(SynchronousTestCase):
    def counted(self, scene: Scene) -> tuple[int, int]:
        """Bytes up and down; both ends have counted the same."""
        theirs, ours = payload_of(scene.server_session), payload_of(scene.client_session)
        self.assertEqual(theirs[::-1], ours)
        self.assertEqual(
            theirs, tuple(total_of(scene.server_session)[f"payload_{way}"] for way in ("sent", "received"))
        )
        return ours

    def test_packets(self) -> None:
        """With loss, and a path that is cut, which has packets sent again; in every mode, copies are not counted."""
        for scheduler in ("bond", "flow", "redundant", "best"):
            scene = Scene([way(0.02, 8, loss=0.02), way(0.05, 8)], scheduler=scheduler)
            scene.stream(400, 0.002, size=900)
            scene.stream(300, 0.002, size=500, up=False)
            scene.run(0.4)
            scene.cut(1)
            scene.run(4)
            lost = scene.lost(400), scene.lost(300, up=False)
            theirs, ours = payload_of(scene.server_session), payload_of(scene.client_session)
            self.assertEqual((theirs[1], ours[1]), (900 * (400 - lost[0]), 500 * (300 - lost[1])), scheduler)
            self.assertEqual((ours[0], theirs[0]), (900 * 400, 500 * 300), scheduler)

    def test_super_packets(self) -> None:
        """Each packet that is cut from one counts with its headers, however the other end joins them."""
        scene = Scene([way(0.02), way(0.03)])
        for number in range(5):
            scene.send(super_packet(number))
            scene.run(0.5)
        self.assertEqual(self.counted(scene), (5 * (SLICES * (SLICE + HEADERS) - 7), 0))

    def test_joined(self) -> None:
        """The same where datagrams come in as they left, many at once, and are joined to one packet again."""
        scene = Scene([way(0.02)])
        sends = scene.client.from_tun([memoryview(super_packet(0))], scene.now).sends
        self.assertGreater(max(len(each.data) for each in sends), 10 * SLICE)
        for each in sends:
            arrival = Arrival(0, scene.addresses[0], memoryview(bytes(each.data)), each.size)
            delivered = scene.server.from_path([arrival], scene.now + 0.01).delivers
            self.assertLess(len(delivered), 3)
        self.assertEqual(payload_of(scene.server_session)[1], SLICES * (SLICE + HEADERS) - 7)

    def test_carried(self) -> None:
        """Of a carried datagram what it holds, large ones and empty ones too."""
        scene = Scene([way(0.02)])
        for size in (0, 1, 1500, 9000):
            scene.carry(Carried(1, 1, bytes(size)))
            scene.carry(Carried(1, 1, bytes(size + 1)), up=False)
        scene.run(1)
        self.assertEqual(self.counted(scene), (10501, 10505))

    def test_refused(self) -> None:
        """What comes from somebody else's address, or finds no session, is nobody's."""
        scene = Scene([way(0.02)])
        forged = bytearray(packet(1, 100))
        forged[VNET_HDR + 15] ^= 1
        scene.send(bytes(forged))
        scene.run(1)
        self.assertEqual(payload_of(scene.server_session), (0, 0))
        self.assertEqual(scene.server_session.counts["spoofed"], 1)
