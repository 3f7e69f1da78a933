"""Who the server is, and that the session is with it."""

from __future__ import annotations

import ipaddress
from types import SimpleNamespace
from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.mesh import MeshConfig
from morphnet.config.roles import ClientConfig, Tuning
from morphnet.net.pump import Pump
from morphnet.roles.client.beyond import Beyond
from morphnet.roles.client.certified_node import Certificates
from morphnet.roles.client.machine import Machine
from morphnet.roles.client.served_node import ServedNode
from morphnet.roles.peers.mesh import Mesh
from morphnet.roles.signalling.control_client import Link
from morphnet.tunnel.carrier import STREAM, Carrier
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import State
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Endpoint
from morphnet.wire.messages.advice import Advice
from morphnet.wire.messages.networks import Advertise, Networks

CALL = bytes.fromhex("4500001c000040004011000010490002") + bytes((10, 73, 0, 5)) + bytes(8)  # UDP for a peer


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


class ServedNodeTests(SynchronousTestCase):
    def make(self, config: ClientConfig) -> ServedNode:
        """A node of that configuration."""
        clock = Clock()
        return ServedNode(config, Pump(clock, Tunnel(server=False, entropy=bytes), clock.seconds), Certificates())

    def named(self, config: ClientConfig, place: str) -> str:
        """What the server of that place is called."""
        node = self.make(config)
        node.spoken_with(place)
        return node._server

    def test_name(self) -> None:
        """One server goes by the name in its certificate, if it is given; of several each by its host."""
        self.assertEqual(self.named(ClientConfig(server="192.0.2.1:8443", server_name="gw"), "192.0.2.1:8443"), "gw")
        self.assertEqual(self.named(ClientConfig(server="gw.example"), "gw.example"), "gw.example")
        several = ClientConfig(servers=("gw1:8000", "gw2"), server_name="gw")
        self.assertEqual([self.named(several, place) for place in several.servers], ["gw1", "gw2"])

    def test_session_of_another(self) -> None:
        """A session with one server says nothing to another, and ends when the other has taken us in."""
        node = self.make(ClientConfig(servers=("gw1", "gw2")))
        node.spoken_with("gw1")
        session = node.tunnel.add_session("gw1", bytes(16), Tuning())
        node._server_hosts = ("192.0.2.1",)
        node._leave_other()
        self.assertIs(node._session_there(), session)
        node.spoken_with("gw2")
        self.assertIsNone(node._session_there())
        self.assertIn("gw1", node.tunnel.sessions)  # it may refuse us
        node._leave_other()
        self.assertEqual((node.tunnel.sessions, node._server_hosts), ({}, ()))
        self.assertEqual([each.text for each in node.happenings(0)], ["gw2 is the server now; it was gw1"])
        self.assertFalse(node.is_served())

    def test_advertises(self) -> None:
        """A server is told what is behind us when that changes, if it is one that has told us of networks itself."""
        node, said = self.make(ClientConfig(server="gw1")), list[object]()
        machine = cast(Machine, SimpleNamespace(beyond=Beyond(), networks_are=lambda said: None))
        node.link = cast(Link, SimpleNamespace(send=said.append))
        config = ClientConfig(server="gw1", advertise=("192.168.7.0/24",))
        node._beyond = machine  # as peers make it
        node._leave_other()
        node._advertise(config, {"advertise"})
        self.assertEqual(said, [])
        node._server_tells(machine, Networks())
        node._advertise(config, {"advertise"})
        self.assertEqual(said, [Advertise(("192.168.7.0/24",))])
        node._leave_other()  # an older one has welcomed us
        node._advertise(config, {"advertise"})
        self.assertEqual(len(said), 1)

    def test_advised(self) -> None:
        """Other relays are called at once by a machine that has peers; one that has none is told how to have them."""
        heeded: list[Advice] = []
        machine = cast(Machine, SimpleNamespace(advised=heeded.append))
        node, said = self.make(ClientConfig(server="gw1")), Advice(relays=("relay.example",))
        node._server_tells(machine, said)
        self.assertEqual(heeded, [said])
        (warning,) = node.warnings()
        self.assertIn("`morphnet set mesh.relays relay.example` and a restart", warning)
        called: list[tuple[str, ...]] = []
        node = self.make(ClientConfig(server="gw1", mesh=MeshConfig(("meet",))))
        node.mesh = cast(Mesh, SimpleNamespace(relays_are=called.append))
        node._server_tells(machine, said)
        self.assertEqual((called, node.warnings()), ([("relay.example",)], ()))
        self.assertEqual([each.kind for each in node.happenings(0)], ["relays"])

    def test_exit_and_peers(self) -> None:
        """The exit is a way to the world, and to no peer: it may not send as one, nor gets what is for one."""
        mesh = MeshConfig(("meet",), exit="home", through=("home=192.168.7.0/24",))
        node = self.make(ClientConfig(mesh=mesh))
        node.mesh = cast(Mesh, SimpleNamespace(relays=SimpleNamespace(having=lambda name: [])))
        home = node.tunnel.add_session("home", bytes(16), Tuning(), [_packed("10.73.0.3")])
        home.open_path(0, Endpoint("192.0.2.1", 8000), "wan", 0.0, Effects()).enter(State.ACTIVE, 0.0)
        beyond = Beyond()
        machine = SimpleNamespace(beyond=beyond, peers_are=lambda names: setattr(beyond, "peers", names))
        machine.inner = ("10.73.0.2", "")
        node._peers_lead(cast(Machine, machine), {"home": ("10.73.0.3",)})
        self.assertEqual(node.access.places.who(_packed("10.73.0.3")).names, ("home",))
        for address, leads in (("10.73.0.5", False), ("fd73::5", False), ("198.51.100.1", True), ("192.168.7.1", True)):
            self.assertEqual(node.tunnel.behind.owner(_packed(address)), home if leads else None)
            self.assertEqual(bool(home.inbound.networks.owner(_packed(address))), leads)
        packet = memoryview(b"\0" * 10 + CALL).toreadonly()
        node.tunnel.from_tun([packet], 0.0)
        self.assertEqual(node.tunnel.counts["no_session"], 1)

    def test_idle_uplinks(self) -> None:
        """An uplink is idle when none of its paths works; without a link it is not said, since all are called then."""
        node = self.make(ClientConfig(server="gw1"))
        node.spoken_with("gw1")
        self.assertEqual(node.idle_uplinks(), [])
        session = node.tunnel.add_session("gw1", bytes(16), Tuning())
        for door, uplink in enumerate(("wlan0", "wlan0", "eth0", "wwan0")):
            session.open_path(door, Endpoint("192.0.2.1", 8000), uplink, 0.0, Effects())
        for path in (1, 2):
            session.paths[path].enter(State.ACTIVE, 0.0)
        self.assertEqual((node.idle_uplinks(), node.is_served()), ([], True))
        node.link = cast(Link, object())
        self.assertEqual(node.idle_uplinks(), ["wwan0"])
        node.tunnel.carriers[4] = Carrier(STREAM, "tcp")
        session.open_path(4, Endpoint("192.0.2.1", 8443), "tcp wwan0", 0.0, Effects())  # no uplink is called so
        self.assertEqual(node.idle_uplinks(), ["wwan0"])
        session.close_path(3, 0.0, Effects())  # its uplink is gone
        self.assertEqual(node.idle_uplinks(), [])
