"""What is made of the routers on the way; that a real one answers is for `tests.lab.test_doctor`."""

from __future__ import annotations

import socket
from dataclasses import replace

from morphnet.cli.doctoring import nats
from morphnet.cli.doctoring.checks import Fault
from morphnet.cli.doctoring.nats import CHECKS
from morphnet.errors import HostError
from morphnet.host.facts import AddressFact, Facts, LinkFact, RouteFact
from morphnet.ops import feedclient
from morphnet.status import NetcheckStatus, SocketStatus
from tests.cli.doctoring.patients import PatientCase
from tests.ops.pictures import NODE

DOUBLE, KIND, REACHED = (each.name for each in CHECKS)


class NatTests(PatientCase):
    def setUp(self) -> None:
        """:ivar way: the routers by each uplink."""
        super().setUp()
        self.routers = nats.routers
        self.way = ["192.168.1.1", "10.64.0.1"]
        self.has("192.168.1.2")
        self.patch(nats, "routers", lambda device, to: self.way)

    def has(self, address: str) -> None:
        """One uplink of that address."""
        links, addresses = (LinkFact(2, "wan", 0x10001, 6, 1500),), (AddressFact(2, address, 0, 24),)
        self.kernel.there = Facts(links, addresses, (RouteFact(2, 4, "192.168.1.1", 100, 3),))

    def test_double(self) -> None:
        """Two routers that the world has no way to, of a home or a provider; a public address is behind none."""
        (found,) = self.faults(CHECKS, DOUBLE)
        self.assertIn("192.168.1.1 and 10.64.0.1", found.text)
        self.way = ["192.168.1.1", "100.64.3.1"]
        self.assertEqual(len(self.faults(CHECKS, DOUBLE)), 1)
        for self.way in (["192.168.1.1", "203.0.113.1"], ["192.168.1.1", ""], ["", "10.0.0.1"], ["192.168.1.1", "?"]):
            self.assertEqual(self.faults(CHECKS, DOUBLE), [], self.way)
        self.has("203.0.113.9")
        self.way = ["10.0.0.1", "10.0.0.2"]
        self.assertEqual(self.faults(CHECKS, DOUBLE), [])

    def test_kind(self) -> None:
        """What the relays tell of the NATs of a client that has some."""
        self.client()
        self.runs(replace(NODE, role="client"))
        told = SocketStatus("wan", "192.168.1.2:5", "203.0.113.9:5", "each")
        self.patch(feedclient, "ask", lambda feed, asked: asked)
        self.patch(feedclient, "netcheck_status", lambda asked: NetcheckStatus("a", (told,), False, (), ()))
        self.assertEqual(self.faults(CHECKS, KIND), [])
        file = self.place.client_toml
        file.write_text(file.read_text() + '[mesh]\nrelays = ["relay.example"]\n')
        (found,) = self.faults(CHECKS, KIND)
        self.assertIn("the NAT at wan maps each", found.text)
        told = replace(told, nat="same")
        self.assertEqual(self.faults(CHECKS, KIND), [])

    def tries(self, socket: SocketStatus, mapped: tuple[str, ...] = (), port: int = 0) -> list[Fault]:
        """What is said of a client with a socket and a setting like these."""
        self.client()
        self.runs(replace(NODE, role="client"))
        self.patch(feedclient, "ask", lambda feed, asked: asked)
        self.patch(feedclient, "netcheck_status", lambda asked: NetcheckStatus("a", (socket,), False, mapped, ()))
        file = self.place.client_toml
        file.write_text(f'{file.read_text()}[mesh]\nrelays = ["relay.example"]\nport = {port}\n')
        return self.faults(CHECKS, REACHED)

    def test_open(self) -> None:
        """A port that is named, or mapped, and closed has its cure; one that is neither is nobody's business."""
        socket = SocketStatus("wan", "192.168.1.2:4000", "", "same", 4000, "closed")
        (named,) = self.tries(socket, port=4000)
        self.assertIn("UDP 4000 is closed from outside at wan, and mesh.port names it", named.text)
        self.assertIn("forward UDP 4000 at the router to 192.168.1.2", named.cure)
        (mapped,) = self.tries(replace(socket, outside=5000), ("203.0.113.9:5000",))
        self.assertIn("UDP 5000 is closed from outside at wan, and the router says that it leads here", mapped.text)
        self.assertEqual((named.grave, mapped.grave), (False, False))
        self.assertEqual(self.tries(socket), [])
        self.assertEqual(self.tries(replace(socket, open="open"), port=4000), [])

    def test_not_tried(self) -> None:
        """What the server has not tried nobody knows."""
        socket = SocketStatus("wan", "192.168.1.2:4000", "", "same", 4000)
        with self.assertRaisesRegex(HostError, "earlier version"):
            self.tries(socket, port=4000)
        with self.assertRaisesRegex(HostError, "no server is reached"):
            self.tries(replace(socket, outside=0), port=4000)
        self.assertEqual(self.tries(socket), [])

    def test_no_answer(self) -> None:
        """By a device that leads nowhere nobody answers, or nothing is sent."""
        self.patch(nats, "PATIENCE", 0.05)
        self.assertLessEqual(set(self.routers("lo", "127.0.0.9")), {"", "?"})
        self.assertRaises(OSError, self.routers, "no-such-device")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as door:
            self.assertEqual(nats._who(door), "?")
