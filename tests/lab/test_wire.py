"""The emulated wire between two real namespaces."""

from __future__ import annotations

import os
import struct
import sys
import time

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.lab.wireclient import WireClient, add_wire
from tests.lab.two_boxes import TwoBoxes, cannot

# Sends a large packet to an address, and says what MTU the kernel knows of that way a moment later.
LEARN = """
import socket, sys, time
six = ":" in sys.argv[1]
door = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
level, discover, known = (41, 23, 24) if six else (0, 10, 14)  # IPV6_MTU_DISCOVER, IPV6_MTU; IP_MTU_DISCOVER, IP_MTU
door.setsockopt(level, discover, 2)
door.connect((sys.argv[1], 9))
door.send(bytes(1400))
time.sleep(0.3)
print(door.getsockopt(level, known))
"""


class WireTests(SynchronousTestCase):
    rootless = False  # every other test of that run shows it
    alone = True
    skip = cannot()

    def setUp(self) -> None:
        self.boxes = TwoBoxes()
        self.addCleanup(self.boxes.close)
        self.wire = self.boxes.wire

    def ping(self, *words: str, host: str = "10.0.0.2") -> dict[str, float]:
        """The final line of a ping from box 0 to box 1, the neighbours known already."""
        self.boxes.tool(0, "ping", host, "--count", "1")
        final: dict[str, float] = self.boxes.tool(0, "ping", host, "--grace", "0.5", *words)[-1]
        return final

    def test_delay_is_exact(self) -> None:
        """20 ms there and 10 ms back are 30 ms, within a millisecond, for both families."""
        self.wire.set(there={"delay": 0.02}, back={"delay": 0.01})
        for host in ("10.0.0.2", "fd00::2"):
            final = self.ping("--count", "100", host=host)
            self.assertEqual(final["lost"], 0)
            rtt: dict[str, float] = final["rtt_ms"]  # type: ignore[assignment]
            self.assertTrue(30 <= rtt["min"] < 31, rtt)
            self.assertLess(rtt["p50"], 35)  # a busy machine wakes us late; the wire itself adds some 0.2 ms

    def test_load_is_told(self) -> None:
        """The wires say what processor time they took, and how late they were since they were asked last."""
        before = self.wire.load()
        self.ping("--count", "200", "--interval", "0.001")
        after = self.wire.load()
        self.assertGreater(after["processor"], before["processor"])
        self.assertGreater(after["late_most"], 0)

    def test_loss_is_as_asked(self) -> None:
        """A tenth of 1000 packets, within five standard deviations, and the counters agree."""
        self.wire.set(there={"loss": 0.1})
        final = self.ping("--count", "1000", "--interval", "0.001")
        self.assertTrue(50 < final["lost"] < 150, final)
        lost = self.wire.counters()["there"]["dropped_loss"]
        self.assertApproximates(lost, final["lost"], 2)  # the first ping of all may be among them

    def test_duplicates_arrive_twice(self) -> None:
        """Every packet doubled is every answer doubled."""
        self.wire.set(there={"duplicate": 1})
        final = self.ping("--count", "20")
        self.assertEqual(final["received"], 20)
        self.assertIn(final["duplicates"], (19, 20))  # ping ends with the last answer, perhaps before its twin

    def test_mtu_is_told(self) -> None:
        """The kernel of the sender believes the answer of both families: it knows the MTU of the way then."""
        self.wire.both(mtu=1290, mtu_told=True)
        for host in ("10.0.0.2", "fd00::2"):
            self.assertEqual(self.boxes.tool(0, "ping", host, "--count", "1")[-1]["received"], 1)
            self.assertEqual(self.boxes.run(0, [sys.executable, "-c", LEARN, host]).strip(), "1290", host)
        self.assertGreaterEqual(self.wire.counters()["there"]["told_mtu"], 2)

    def test_black_hole_keeps_the_carrier(self) -> None:
        """Nothing passes, both ends still see a cable; healed, everything passes again."""
        self.wire.black_hole("back")
        self.assertEqual(self.boxes.tool(0, "ping", "10.0.0.2", "--count", "5", "--grace", "0.1")[-1]["received"], 0)
        self.assertTrue(self.boxes.carrier(0))
        counters = self.wire.counters()
        self.assertEqual(counters["there"]["dropped_black_hole"], 0)
        self.assertGreater(counters["back"]["dropped_black_hole"], 0)
        self.wire.heal()
        self.assertEqual(self.ping("--count", "5")["received"], 5)

    def test_unplugged_cable_is_seen_by_both_ends(self) -> None:
        """The carrier goes and comes."""
        self.assertEqual([self.boxes.carrier(0), self.boxes.carrier(1)], [True, True])
        self.wire.unplug()
        self.assertEqual([self.boxes.carrier(0), self.boxes.carrier(1)], [False, False])
        self.assertFalse(self.wire.counters()["plugged"])
        self.wire.plug()
        self.assertEqual([self.boxes.carrier(0), self.boxes.carrier(1)], [True, True])
        self.assertEqual(self.ping("--count", "5")["received"], 5)

    def test_larger_packets_vanish(self) -> None:
        """An MTU of 1000 lets 1000 bytes of IP pass, and not one more."""
        self.wire.both(mtu=1000)
        self.assertEqual(self.ping("--count", "3", "--size", "972")["received"], 3)
        self.assertEqual(self.ping("--count", "3", "--size", "973")["received"], 0)

    def test_capture_is_a_pcap(self) -> None:
        """What was delivered stands in the file: Ethernet, one record per frame."""
        path = os.path.join(self.boxes.directory.name, "cable.pcap")
        self.wire.capture(path)
        self.ping("--count", "3")
        self.wire.capture(None)
        with open(path, "rb") as file:
            data = file.read()
        self.assertEqual(struct.unpack_from("=I16xI", data), (0xA1B23C4D, 1))
        offset, records = 24, 0
        while offset < len(data):
            offset += 16 + struct.unpack_from("=8xI", data, offset)[0]
            records += 1
        self.assertEqual(offset, len(data))
        self.assertGreaterEqual(records, 8)

    def test_wire_outlives_a_box(self) -> None:
        """When the namespace of one end goes, the process carries on and does not spin."""
        self.boxes.end_box(1)
        time.sleep(0.3)
        before = self.boxes.wire_cpu()
        time.sleep(0.5)
        self.assertLess(self.boxes.wire_cpu() - before, 0.2)
        self.assertIn("there", self.wire.counters())

    def test_wires_come_and_go(self) -> None:
        """A second wire can be added to a running process, and removed."""
        ends = [{"pid": pid, "device": "spare"} for pid in self.boxes.pids]
        spare = add_wire(self.boxes.socket_path, {"name": "spare", "ends": ends, "there": {"delay": 1}})
        self.assertEqual(spare.counters()["params"]["there"]["delay"], 1)
        spare.remove()
        self.assertRaises(HostError, spare.unplug)

    def test_wrong_orders_are_refused(self) -> None:
        """An unknown parameter or wire is refused in words, and the wire lives."""
        self.assertRaises(HostError, self.wire.both, latency=1)
        self.assertRaises(HostError, WireClient(self.boxes.socket_path, "rope").unplug)
        self.assertEqual(self.ping("--count", "2")["received"], 2)

    def test_process_ends_with_its_parent(self) -> None:
        """The end of stdin is the end of the wire and of its socket."""
        assert self.boxes.wire_process.stdin is not None
        self.boxes.wire_process.stdin.close()
        self.assertEqual(self.boxes.wire_process.wait(5), 0)
        self.assertFalse(os.path.exists(self.boxes.socket_path))
