"""What a client opens, and how it is joined: with a server, with peers, with both."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from txaio.tx import config as autobahn_config

from morphnet.config.mesh import MeshConfig
from morphnet.config.roles import ClientConfig
from morphnet.durable import make_directory
from morphnet.host.host import Host
from morphnet.host.uplinks import Uplink
from morphnet.net.tls import Identity
from morphnet.ops.rundir import REVOKED
from morphnet.pki.files import CA, trusted_cas, write_certificate, write_key
from morphnet.rendezvous.reconnect import Reconnect
from morphnet.roles.certificates.renewal import identity_of
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.roles.client import process
from morphnet.roles.client.ear import Ear
from morphnet.roles.client.node import ClientNode
from morphnet.roles.signalling.control_client import ControlClient, Link
from morphnet.wire.batch import Endpoint
from morphnet.wire.messages.relay import Reach
from tests.fakes_control import FakeNet
from tests.fakes_pki import a_key, an_authority

PEERS = MeshConfig(("one.example",), networks=("10.99.0.0/24",), hosts=False, streams=False)


class FakeTun:
    """A device that is not there."""

    name, offloads = "morph0", ()

    def __init__(self, *parts: object) -> None:
        self.is_open = False

    def open(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False


class FakeWatch:
    """Sees no uplinks."""

    def __init__(self, *parts: object) -> None:
        self.is_watching = False

    def start(self) -> None:
        self.is_watching = True

    def stop(self) -> None:
        self.is_watching = False


class FakeHost:
    """Remembers what it was asked to be."""

    networks: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.networks_up: list[object] = []

    def recover(self, *, strict: bool = False) -> None:
        self.recovered = strict

    def shut(self, table: object) -> None:
        self.networks_up.append(table)

    def client_up(self, network: object) -> None:
        self.networks_up.append(network)

    def upstream_dns(self) -> tuple[str, ...]:
        """It knows none."""
        return ()


class FakeMachine:
    """Waits, and calls nobody again."""

    def failed(self, reason: str) -> None:
        """A call has."""


class Opened(process.ClientProcess):
    """One on a host that nobody else touches."""

    def watch_host(self, *what: object) -> None:
        """Nobody takes anything from it."""


class ClientProcessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.net, self.folder, self.host = FakeNet(), Path(self.mktemp()), FakeHost()
        self.patch(autobahn_config, "loop", self.net)
        self.patch(process, "Tun", FakeTun)
        self.patch(process, "UplinkWatch", FakeWatch)
        self.now, self.config_more = time.time(), dict[str, Any]()
        self.authority = an_authority(now=self.now)
        key = a_key(9)
        present = self.authority.client(key.public_key(), "anna", now=self.now, addresses=("10.99.0.2",))
        make_directory(self.folder)
        write_key(self.folder, "anna", key)
        write_certificate(self.folder, "anna", present)
        write_certificate(self.folder, CA, self.authority.certificate)

    def open(self, server: str = "", mesh: MeshConfig | None = None, *others: str, streams: bool = True) -> ClientNode:
        """Start it; with `others`, there are several servers."""
        folder = self.folder
        config = ClientConfig(
            server="" if others else server,
            servers=(server, *others) if others else (),
            name="anna",
            pki_dir=folder,
            state_dir=folder,
            run_dir=folder,
            mesh=mesh or MeshConfig(),
            streams=streams,
            **self.config_more,
        )
        self.process = Opened(config, self.net)
        self.process.host = cast(Host, self.host)
        node = self.process.open()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.process.close()))
        return node

    def kinds(self, node: ClientNode) -> list[str]:
        """What was told, but that there is no server here."""
        return [each.kind for each in node.happenings(0) if each.kind != "call-failed"]

    def shown_by(self, node: ClientNode) -> list[Identity]:
        """What its ends of TLS are given to show next."""
        shown: list[Identity] = []
        ends: list[Any] = [*node._shows, *(node.mesh.relays.shows() if node.mesh is not None else ())]
        for end in ends:
            self.patch(end, "use", shown.append)
        return shown

    def test_server(self) -> None:
        """With a server alone: its certificate and ours are looked after, and there are no peers."""
        node = self.open("gw.example")
        self.assertIsNone(node.mesh)
        self.assertIsNotNone(node.renewal)
        self.assertEqual(self.host.networks_up, [])  # until the server has said hello

    def test_streams(self) -> None:
        """The server may be reached by TCP, unless that is turned off; peers alone have no server."""
        self.assertIsNotNone(self.open("gw.example").streaming)
        self.assertIsNone(self.open("gw.example", streams=False).streaming)
        self.assertIsNone(self.open(mesh=PEERS).streaming)

    def test_cut(self) -> None:
        """Nobody is called by TCP over an uplink that the operator has cut."""
        node = self.open("gw.example")
        node.uplinks = [Uplink(f"wan{i}", i, True, ("192.168.1.2",), (), None, None, 1500, i) for i in (0, 1)]
        node.uplink_paths._cut["wan0"] = 0, 0.0
        assert node.streaming is not None
        self.assertEqual([each.device for each in node.streaming._sources()], ["wan1"])

    def test_portal_at_443(self) -> None:
        """Who takes a call for a stream in the server's place is named, unless there is a control link."""
        node = self.open("gw.example")
        assert node.streaming is not None
        answered = node.streaming._reach(Endpoint("198.51.100.1", 443)).answered
        node.link = cast(Link, object())
        answered("wan0", False)
        self.assertEqual(node.portals.warnings(), ())
        node.link = None
        answered("wan0", False)
        self.assertIn("wan0: somebody else answers for gw.example", node.portals.warnings()[0])
        answered("wan0", True)
        self.assertEqual(node.portals.warnings(), ())

    def lines(self) -> list[ControlClient]:
        """What calls each of the servers."""
        return cast(list[ControlClient], list(self.process._client._lines.values()))

    def test_passages(self) -> None:
        """Each relay of `[mesh]` is a way to the server that is called, for the control link and for streams."""
        mesh = replace(PEERS, relays=("one.example", "two.example:8443"), relay_pq="allow")
        node = self.open("gw.example:8444", mesh, "gw2.example")
        node.uplinks = [Uplink(f"wan{i}", i, True, ("192.168.1.2",), (), None, None, 1500, i) for i in (0, 1)]
        node.uplink_paths._cut["wan0"] = 0, 0.0
        assert node.streaming is not None
        first, second = self.lines()
        self.assertEqual([dial.first for dial in first.passages()], [Reach("gw.example")] * 2)
        self.assertEqual([dial.first for dial in second.passages()], [Reach("gw2.example")] * 2)
        places = [(dial.to.host, dial.to.port, dial.pq) for dial in first.passages()]
        self.assertEqual(places, [("one.example", 443, "allow"), ("two.example", 8443, "allow")])
        self.assertEqual([each.device for each in first.passages()[0].to.sources()], ["wan0", "wan1"])
        streams = node.streaming.passages()  # to the server that is spoken with
        self.assertEqual([dial.first for dial in streams], [Reach("gw.example")] * 2)
        self.assertEqual([each.device for each in streams[0].to.sources()], ["wan1"])

    def test_name_of_the_server(self) -> None:
        """The relay is told what the server's certificate must carry, beside the address that is called."""
        self.config_more = {"server_name": "gw"}
        self.open("203.0.113.1:8443", PEERS)
        (dial,) = self.lines()[0].passages()
        self.assertEqual(dial.first, Reach("203.0.113.1", "gw"))

    def test_web(self) -> None:
        """With the shape `web` the control link and streams both go through the web server, and else neither does."""
        node = self.open("gw.example")
        assert node.streaming is not None
        self.assertEqual([node.streaming.web(), self.lines()[0].web()], [None, None])
        self.config_more = {"shape": "web", "shape_web": "https://www.example.org/a"}
        node = self.open("gw.example")
        assert node.streaming is not None
        for dial in (node.streaming.web(), self.lines()[0].web()):
            assert dial is not None
            self.assertEqual((dial.to.host, dial.to.port), ("www.example.org", 443))
        node.reconfigure(replace(node.config, shape_web="https://other.example/a"), ["shape_web"])
        for dial in (node.streaming.web(), self.lines()[0].web()):
            assert dial is not None
            self.assertEqual(dial.to.host, "other.example")
        node.reconfigure(replace(node.config, shape="plain"), ["shape"])
        self.assertEqual([node.streaming.web(), self.lines()[0].web()], [None, None])

    def test_no_passages(self) -> None:
        """Without a relay there is none."""
        node = self.open("gw.example")
        assert node.streaming is not None
        self.assertEqual((list(node.streaming.passages()), self.lines()[0].passages()), ([], []))

    def test_portal_before_a_relay(self) -> None:
        """Who answers in a relay's place is named as such."""
        node = self.open("gw.example", PEERS)
        (dial,) = self.lines()[0].passages()
        dial.to.answered("wan0", False)
        self.assertIn("wan0: somebody else answers for one.example", node.portals.warnings()[0])

    def test_looks_at_the_server_of_now(self) -> None:
        """By an uplink where a stranger was met the server is called that is spoken with, of several."""
        node = self.open("198.51.100.1", None, "198.51.100.2")
        client, looking = self.process._client, self.process._looking
        assert looking is not None
        self.net.called.clear()
        client.proved(client._all[1])
        node.portals.answered("198.51.100.1", "wan0", proven=False)
        looking.look()
        self.assertEqual([host for host, _ in self.net.called], ["198.51.100.2"])

    def test_peers(self) -> None:
        """With peers alone: the host has our inner address at once, and a relay is called."""
        node = self.open(mesh=PEERS)
        self.assertEqual((node.state, [each.name for each in node.relay_statuses()]), ("among peers", ["one.example"]))
        self.assertEqual(len(self.host.networks_up), 1)

    def test_both_show_the_next(self) -> None:
        """With both: a renewed certificate is shown to the server and to each relay."""
        node = self.open("gw.example", PEERS)
        shown, following = self.shown_by(node), identity_of(self.folder, "anna")
        self.process.use(following)
        self.assertEqual(shown, [following, following])

    def test_known_before(self) -> None:
        """The list of a run before is known from the start on, and announces nothing anew; a later one does."""
        self.authority.announced = (self.authority.certificate,)
        path = self.folder / REVOKED
        Revoked(lambda: trusted_cas(self.folder), path).take(self.authority.revocations({"ab": 1}, now=self.now))
        node = self.open("gw.example")
        assert node.lists is not None
        self.assertEqual((node.lists.revoked.serials, self.kinds(node)), (frozenset({"ab"}), []))
        other = an_authority(7, now=self.now)
        self.authority.announced = (other.certificate, self.authority.certificate)
        node.lists.revoked.take(self.authority.revocations({"ab": 1}, now=self.now + 60))
        self.assertEqual(self.kinds(node), ["ca"])

    def test_none_reached(self) -> None:
        """Of several servers all are named when none is reached."""
        node = self.open("gw.example")
        node.config = replace(node.config, server="", servers=("gw1.example", "gw2.example"))
        Ear(node, cast(Reconnect, FakeMachine())).failed("no answer")
        told = node.happenings(0)[-1].text
        self.assertEqual(told, "gw1.example or gw2.example is not reached, and called again: no answer")
