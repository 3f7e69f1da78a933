"""What uplinks carry, counted."""

from __future__ import annotations

from collections import Counter
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.pump import DatagramDoor
from morphnet.roles.client.meter import TCP, Meter, of_door, of_stream
from morphnet.tunnel.path import Path
from morphnet.wire.batch import Endpoint


class FakeSocket:
    """A UDP socket that has carried something."""

    def __init__(self, number: int, host: str = "192.0.2.1", device: str = "wan0") -> None:
        self.number, self.host, self.device = number, host, device
        self.counted = Counter(sent=1, received=2, sent_bytes=100, received_bytes=300)

    def counters(self) -> Counter[str]:
        """So much."""
        return self.counted


class FakeRelay:
    """A line to a relay."""

    number, local = 7, "192.168.2.2"

    def __init__(self) -> None:
        self.counted = Counter(relayed_sent=1, relayed_sent_bytes=1000)

    def counters(self) -> Counter[str]:
        """So much."""
        return self.counted


def door(fake: object) -> DatagramDoor:
    """As the pump has it."""
    return cast(DatagramDoor, fake)


class MeterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.devices = {"192.168.2.2": "wan1"}
        self.meter = Meter(lambda address: self.devices.get(address, ""))

    def test_headers(self) -> None:
        """Each datagram counts with its IP and UDP headers; in a stream with what TCP, TLS and WebSocket add."""
        counts = [of_door(door(FakeSocket(1, host)))() for host in ("192.0.2.1", "2001:db8::1")]
        self.assertEqual(counts, [484, 544])
        path = Path(0, 0, Endpoint("203.0.113.1", 443), 1466, 0.0)
        path.delivery.sent_packets, path.delivery.sent_bytes = 2, 1000
        path.received.packets, path.received.bytes = 1, 500
        self.assertEqual(of_stream(path)(), 1500 + 3 * TCP)
        self.assertEqual(of_door(door(FakeRelay()))(), 1000 + TCP)

    def test_doors(self) -> None:
        """An uplink has what its sockets carried, one after the other, each byte once."""
        meter, first, second = self.meter, FakeSocket(1), FakeSocket(2)
        meter.opened(door(first))
        self.assertEqual(meter.take()["wan0"], 0)
        first.counted["sent_bytes"] += 1000
        self.assertEqual([meter.take()["wan0"] for _ in range(2)], [1000, 0])
        first.counted["sent_bytes"] += 10
        meter.closed(1)
        meter.closed(1)
        meter.opened(door(second))
        second.counted["received_bytes"] += 5
        self.assertEqual(meter.take()["wan0"], 15)

    def test_lines(self) -> None:
        """A line to a relay counts for the uplink that it goes by now; what is neither counts for nobody."""
        relay = FakeRelay()
        self.meter.opened(door(relay))
        self.meter.opened(door(FakeSocket(3, device="")))
        relay.counted["relayed_received_bytes"] += 50
        self.assertEqual(self.meter.take(), {"wan1": 50})
        self.devices.clear()
        relay.counted["relayed_received_bytes"] += 50
        self.assertEqual(self.meter.take(), {})
