"""Who watches a session sees what is sent, and changes nothing of it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.totals import payload_of
from morphnet.wire.batch import Arrival
from morphnet.wire.shapes.shape import MASKED, QUIC
from tests.tunnel.scenes import way
from tests.tunnel.test_payload import HEADERS, SLICE, SLICES, super_packet
from tests.tunnel.test_wardrobe import Masks


class TraceTests(SynchronousTestCase):
    kind = MASKED

    def test_long_runs(self) -> None:
        """Runs of many datagrams go out as they were dressed, and all of them arrive."""
        scene, lines = Masks([way(0.02)], kind=self.kind), list[str]()
        scene.wear()
        scene.stream(50, 0.01, size=1400)
        scene.run(1.0)
        scene.client_session.trace = lines.append
        sends = scene.client.from_tun([memoryview(super_packet(0))], scene.now).sends
        self.assertGreater(max(len(each.data) for each in sends), 10 * SLICE)
        before = payload_of(scene.server_session)[1]
        for each in sends:
            arrival = Arrival(0, scene.addresses[0], memoryview(bytes(each.data)), each.size)
            scene.server.from_path([arrival], scene.now + 0.01)
        self.assertEqual(payload_of(scene.server_session)[1] - before, SLICES * (SLICE + HEADERS) - 7)
        self.assertEqual(len(lines), len(sends))


class QuicTraceTests(TraceTests):
    """The same in the other shape."""

    kind = QUIC
