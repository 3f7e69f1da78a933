"""What uplinks carry, counted."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.client.meter import TCP, Meter, of_door, of_stream
from morphnet.tunnel.path import Path
from morphnet.wire.batch import Endpoint


class FakeCounts:
    """A UDP socket that has carried something."""

    def __init__(self, host: str) -> None:
        self.host, self.counted = host, Counter(sent=1, received=2, sent_bytes=100, received_bytes=300)

    def counters(self) -> Counter[str]:
        """So much."""
        return self.counted


class MeterTests(SynchronousTestCase):
    def test_headers(self) -> None:
        """Each datagram counts with its IP and UDP headers; in a stream with what TCP, TLS and WebSocket add."""
        self.assertEqual([of_door(FakeCounts(host))() for host in ("192.0.2.1", "2001:db8::1")], [484, 544])
        path = Path(0, 0, Endpoint("203.0.113.1", 443), 1466, 0.0)
        path.delivery.sent_packets, path.delivery.sent_bytes = 2, 1000
        path.received.packets, path.received.bytes = 1, 500
        self.assertEqual(of_stream(path)(), 1500 + 3 * TCP)

    def test_doors(self) -> None:
        """An uplink has what its doors carried, one after the other, each byte once."""
        meter, first, second = Meter(), FakeCounts("192.0.2.1"), FakeCounts("192.0.2.1")
        meter.attach(1, "wan0", of_door(first))
        self.assertEqual(meter.take()["wan0"], 0)
        first.counted["sent_bytes"] += 1000
        self.assertEqual([meter.take()["wan0"] for _ in range(2)], [1000, 0])
        first.counted["sent_bytes"] += 10
        meter.detach(1)
        meter.detach(1)
        meter.attach(2, "wan0", of_door(second))
        second.counted["received_bytes"] += 5
        self.assertEqual(meter.take()["wan0"], 15)
