"""What a client shows and lets be touched, besides what every node does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import ClientConfig, Tuning
from morphnet.errors import ConfigError
from morphnet.host.host import Host
from morphnet.net.pump import Pump
from morphnet.net.tun import Tun
from morphnet.roles.client.certified_node import Certificates
from morphnet.roles.client.node import ClientNode, Parts
from morphnet.roles.client.streaming import Streaming
from morphnet.roles.client.uplink_paths import UplinkPaths
from morphnet.roles.peers.mesh import Mesh
from morphnet.roles.signalling.control_client import Link
from morphnet.tunnel.carrier import STREAM
from morphnet.tunnel.events import Effects, PathChanged
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.messages.control import Scheduler, Signal
from morphnet.wire.shapes.masked import Masked
from tests.fakes_door import FakeUdp
from tests.ops.pictures import CARL, NAS
from tests.roles.client.test_uplink_paths import FOUR, WAN, PathsTestCase


class FakeMesh:
    """Two peers."""

    def statuses(self) -> tuple[object, ...]:
        """The same two at any time."""
        return (NAS, CARL)


class FakeLink:
    """A control link that is up."""

    def __init__(self) -> None:
        self.said: list[Signal] = []
        self.proved = 0

    def send(self, signal: Signal) -> None:
        self.said.append(signal)

    def prove(self, within: float) -> None:
        """Hang up unless the server answers."""
        self.proved += 1


class PeersTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock = Clock()
        self.pump = Pump(clock, Tunnel(server=False, entropy=bytes), clock.seconds)
        self.node = self.make()

    def make(self, mesh: FakeMesh | None = None) -> ClientNode:
        """A client with these peers."""
        return ClientNode(
            ClientConfig(),
            self.pump,
            Parts(
                cast(Host, None),
                cast(Tun, None),
                UplinkPaths(cast(Any, None), self.pump, lambda kind, text: None),
                Certificates(),
                None,
                (lambda owner: cast(Mesh, mesh)) if mesh is not None else None,
            ),
        )

    def test_scheduler(self) -> None:
        """Another one holds at once for what this machine sends; that the server does not know yet is said."""
        session = self.pump.tunnel.add_session("gw", bytes(16), Tuning())
        config = ClientConfig(server="gw", tuning=Tuning(scheduler="redundant"))
        told = self.node.reconfigure(config, ["tuning.scheduler"])
        self.assertEqual(session.outbound.scheduler.name, "redundant")
        self.assertIn("the server does the same when it is reached", told)
        link = FakeLink()
        self.node.link = cast(Link, link)
        self.assertEqual(self.node.reconfigure(config, ["tuning.scheduler"]), "")
        self.assertEqual(link.said, [Scheduler("redundant")])

    def ask(self, asked: str, /, **said: Any) -> Any:
        """As the feed and the manhole do."""
        verb = next(verb for verb in self.node.verbs() if verb.name == asked)
        return verb.call(**verb.filled(said))

    def test_none(self) -> None:
        """Where there are no peers, what asks for them says where there are some."""
        for name, said in (("ping", {"name": "bert"}), ("why", {"name": "bert"}), ("netcheck", {})):
            with self.assertRaisesRegex(ConfigError, "there are no peers here"):
                self.ask(name, **said)

    def test_why(self) -> None:
        """Of one peer all that was decided; for a name that is nobody's, a hint."""
        self.node = self.make(FakeMesh())
        self.assertIs(self.successResultOf(self.ask("why", name="nas")), NAS)
        with self.assertRaisesRegex(ConfigError, "did you mean 'nas'"):
            self.ask("why", name="nass")


class FakeStreaming:
    """A stream by one path, that the operator may cut."""

    def __init__(self, number: int) -> None:
        self.number, self.is_cut = number, False

    def cut(self, path: Path) -> bool:
        """Whether it is the stream's."""
        self.is_cut = path.id == self.number
        return self.is_cut

    def restore(self, called: int | str) -> bool:
        """Whether it was cut, and is called so."""
        was, self.is_cut = self.is_cut, self.is_cut and called not in (self.number, "tcp wan")
        return was and not self.is_cut


class ShapeTests(PathsTestCase):
    """What is worn changes while paths are open."""

    def setUp(self) -> None:
        super().setUp()
        self.session.add_ids(bytes((number,)) * 20 for number in range(8))
        self.uplink_paths.uplinks_are([WAN])
        masked, config = Masked(bytes(32), bytes), ClientConfig(server="gw", shape="masked")
        host = cast(Host, None)
        parts = Parts(host, None, self.uplink_paths, Certificates(), make_shape=lambda name: masked)
        self.node = ClientNode(config, self.pump, parts)
        self.node.shapes.welcomed(self.session, ("masked",), Effects())

    def plain_ones(self) -> int:
        """Datagrams that show an id."""
        ids = set(self.pump.tunnel._shown)
        return sum(bytes(each.data[:8]) in ids for door in FakeUdp.made for each in door.sent)

    def test_to_web(self) -> None:
        """The paths by UDP are closed at once, and nothing plain is sent before."""
        before = self.plain_ones()
        self.assertEqual(list(self.used()), ["wan"])
        config = replace(self.node.config, shape="web", shape_web="https://www.example.org/a")
        self.assertEqual(self.node.reconfigure(config, ["shape", "shape_web"]), "")
        self.assertEqual((self.used(), self.plain_ones()), ({}, before))
        self.node.reconfigure(replace(config, shape="plain"), ["shape"])
        self.assertEqual(list(self.used()), ["wan"])
        self.assertGreater(self.plain_ones(), before)


class CutTests(PathsTestCase):
    """Which path is meant."""

    def setUp(self) -> None:
        super().setUp()
        self.uplink_paths.uplinks_are([WAN])
        stream = self.session.open_path(99, FOUR, "tcp wan", 0.0, Effects())
        stream.rank = STREAM
        self.streaming = FakeStreaming(stream.id)
        parts = Parts(
            cast(Host, None),
            cast(Tun, None),
            self.uplink_paths,
            Certificates(),
            cast(Streaming, self.streaming),
        )
        self.node = ClientNode(ClientConfig(), self.pump, parts)

    def test_uplink(self) -> None:
        """An uplink is cut and restored by its name, once."""
        self.assertEqual(self.node.cut_path("wan"), "path wan is closed")
        self.assertEqual(list(self.used()), ["tcp wan"])
        self.assertRaisesRegex(ConfigError, "there is no open path wan", self.node.cut_path, "wan")
        self.assertEqual(self.node.restore_path("wan"), "path wan is opened again")
        self.assertEqual(sorted(self.used()), ["tcp wan", "wan"])
        self.assertRaisesRegex(ConfigError, "path wan was not cut", self.node.restore_path, "wan")

    def test_stream(self) -> None:
        """So is the way by TCP, under the name that `status` shows, or its number."""
        for called in ("tcp wan", self.streaming.number):
            self.node.cut_path(called)
            self.assertTrue(self.streaming.is_cut)
            self.assertEqual(sorted(self.used()), ["tcp wan", "wan"])  # it is the stream's to close it
            self.node.restore_path(called)
            self.assertFalse(self.streaming.is_cut)
            self.assertRaises(ConfigError, self.node.restore_path, called)

    def test_server_gone(self) -> None:
        """When no uplink has a path that works the link must prove itself, though a stream has found the server."""
        link, at = FakeLink(), self.session.peer
        self.node.link = cast(Link, link)
        for path in self.session.paths.values():
            path.life.enter(State.ACTIVE, 0, 0.0)
        wan, stream = self.used()["wan"], self.streaming.number
        self.node.heard(PathChanged(at, stream, "tcp wan", State.ACTIVE, State.SILENT))
        self.assertEqual(link.proved, 0)
        self.session.paths[wan].life.enter(State.SILENT, 0, 1.0)
        self.node.heard(PathChanged(at, wan, "wan", State.ACTIVE, State.SILENT))
        self.assertEqual(link.proved, 1)
