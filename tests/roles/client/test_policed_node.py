"""A client and its uplinks: which it uses, and what its server is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from twisted.internet.task import Clock

from morphnet.config.roles import ClientConfig
from morphnet.config.uplinks import policy
from morphnet.host.host import Host
from morphnet.host.uplinks import Uplink
from morphnet.net.pump import Pump
from morphnet.roles.client.certified_node import Certificates
from morphnet.roles.client.node import ClientNode, Parts
from morphnet.roles.client.policed_node import PolicedNode
from morphnet.roles.client.policies import Policies
from morphnet.roles.client.streaming import Streaming
from morphnet.roles.signalling.control_client import Link
from morphnet.tunnel.carrier import STREAM, Carrier
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.terms import BACKUP, FREE, LAST, METERED, Terms
from morphnet.wire.messages.control import Signal
from morphnet.wire.messages.terms import PathTerms
from tests.roles.client.test_uplink_paths import FOUR, LTE, WAN, PathsTestCase


class FakeLink:
    """A control link that is up."""

    def __init__(self) -> None:
        self.said: list[Signal] = []

    def send(self, signal: Signal) -> None:
        """What the server is told."""
        self.said.append(signal)


class Policed(PolicedNode):
    """A node that does nothing else."""

    def uplinks_are(self, uplinks: list[Uplink]) -> None:
        """Have the allowed ones, and paths by them."""
        self.uplink_paths.uplinks_are(self.allowed(uplinks))


class PolicedCase(PathsTestCase):
    """Two uplinks, without a control link at first."""

    def make(self, *texts: str) -> None:
        """With these policies."""
        config = ClientConfig(server="gateway", server_name="gateway", uplink_policies=texts)
        self.node = Policed(config, self.pump, Certificates(), Policies([policy(each) for each in texts]))
        self.node._server = "gateway"
        self.node.by_ways(self.uplink_paths, None)
        self.link = FakeLink()
        self.node.uplinks_are([WAN, LTE])

    def terms(self) -> dict[str, Terms]:
        """Of each path that is not closed."""
        return {path.uplink: path.terms for path in self.session.paths.values() if path.state is not State.CLOSED}

    def told(self) -> list[tuple[str, ...]]:
        """What the server was told, each time."""
        return [signal.paths for signal in self.link.said if isinstance(signal, PathTerms)]

    def heed(self) -> None:
        """The server is there, and heeds terms."""
        self.node.server_heeds(cast(Link, self.link))
        self.node.treat_paths()


class PolicedTests(PolicedCase):
    def test_plain(self) -> None:
        """Without any policy nothing is told, and all paths are alike."""
        self.make()
        self.heed()
        self.assertEqual((self.told(), set(self.terms().values())), ([], {FREE}))

    def test_told(self) -> None:
        """Paths have the terms of their uplinks from their beginning; the server is told once, and what changes."""
        self.make("lte backup rate_up=8Mbit/s rate_down=16Mbit/s")
        self.assertEqual(self.terms(), {"wan": Terms(10), "lte": Terms(BACKUP + 10, rate=1e6)})
        self.heed()
        self.node.treat_paths()
        self.assertEqual(self.told(), [("0 10 0 0", "1 210 0 2000000")])
        self.assertIn("uplink lte is metered now", self.node.use_uplink("lte", "metered"))
        self.assertEqual(self.told()[1:], [("0 10 0 0", "1 110 1 2000000")])
        self.assertEqual(self.terms()["lte"].level, METERED + 10)
        self.assertIn("; there is no such uplink here", self.node.use_uplink("ltf", "default"))
        self.node.server_heeds(None)
        self.node.use_uplink("lte", "default")
        self.assertEqual(len(self.told()), 2)
        self.heed()
        self.assertEqual(self.told()[2:], [("0 10 0 0", "1 210 0 2000000")])

    def test_old_server(self) -> None:
        """A server that does not heed terms is warned of, and told nothing."""
        self.make("lte backup")
        self.node.link = cast(Link, self.link)
        self.node.server_heeds(None)
        self.node.treat_paths()
        self.assertEqual((self.told(), len(self.node.warnings())), ([], 1))
        self.heed()
        self.assertEqual(self.node.warnings(), ())

    def test_no_policy_any_more(self) -> None:
        """When the last policy goes, the server is told that, too."""
        self.make()
        self.heed()
        self.node.use_uplink("lte", "backup")
        self.node.use_uplink("lte", "default")
        self.assertEqual(self.told(), [("0 10 0 0", "1 210 0 0"), ("0 10 0 0", "1 10 0 0")])

    def test_taken_back(self) -> None:
        """Policies that go are not in force any more, whether the server heeds terms, or is not there to be told."""
        plain = [("0 10 0 0", "1 10 0 0")]
        for heeded, told in ((False, []), (True, [("0 210 0 1000", "1 210 0 1000")])):
            self.make("* backup rate=8kbit/s")
            if heeded:
                self.heed()
            self.node.server_heeds(None)
            self.node.police(replace(self.node.config, uplink_policies=()), ["uplink_policies"])
            self.assertEqual((set(self.terms().values()), self.told()), ({Terms(10)}, told))
            self.heed()
            self.assertEqual((self.told(), self.node.has_terms), (told + plain, True))

    def test_never(self) -> None:
        """One that is to be left alone has no path, nothing is called by it, and `status` says so; and back."""
        self.make("lte never")
        self.assertEqual((list(self.terms()), {each.device for each in self.node.sources()}), (["wan"], {"wan"}))
        self.assertEqual(self.node.shunned(), {"10.0.0.3"})
        shown = {each.name: (each.state, each.use, each.why) for each in self.node.uplink_statuses()}
        self.assertEqual(shown["lte"], ("never", "never", "as the settings say"))
        self.node.use_uplink("lte", "normal")
        self.assertEqual(set(self.terms()), {"wan", "lte"})
        self.node.use_uplink("wan", "never")
        self.assertEqual(set(self.terms()), {"lte"})

    def test_called_last(self) -> None:
        """The server is called by those first that carry first."""
        self.make("wan backup")
        self.assertEqual([each.device for each in self.node.sources()], ["lte", "wan", "wan"])

    def test_streams(self) -> None:
        """While a backup works by UDP, a stream begins by what comes before it, and by nothing else."""
        self.make("lte backup")
        self.assertEqual({each.device for each in self.node.stream_sources()}, {"wan", "lte"})
        by_name = {path.uplink: path for path in self.session.paths.values()}
        by_name["lte"].enter(State.ACTIVE, 0.0)
        self.assertEqual({each.device for each in self.node.stream_sources()}, {"wan"})
        by_name["wan"].enter(State.ACTIVE, 0.0)
        self.assertEqual({each.device for each in self.node.stream_sources()}, {"wan"})

    def test_cap(self) -> None:
        """What the sockets have carried is counted, and at the cap the path is for the last resort."""
        self.make("lte cap=1MB")
        self.node.meter.attach(99, lambda: "lte", iter([0, 400_000, 1_200_000, 1_200_000]).__next__)
        for level in (10, LAST + METERED + 10):
            self.node.count_carried()
            self.assertEqual(self.terms()["lte"].level, level)
        (shown,) = [each for each in self.node.uplink_statuses() if each.name == "lte"]
        self.assertEqual((shown.use, shown.metered, shown.cap_bytes), ("last", True, 1_000_000))
        self.assertGreaterEqual(shown.carried_bytes, 1_200_000)


class FakeStreaming:
    """By TCP over `lte`."""

    def device_of(self, path: Path) -> str:
        """Of the one path that is a stream's."""
        return "lte" if path.rank else ""


class StreamTests(PolicedCase):
    """A path by TCP besides."""

    def test_stream(self) -> None:
        """It has the terms of its uplink as soon as it works, is told, and is counted."""
        self.make("lte backup cap=1GB")
        self.node.streaming = cast(Streaming, FakeStreaming())
        self.heed()
        self.pump.tunnel.carriers[50] = Carrier(STREAM, "tcp")
        path = self.session.open_path(50, FOUR, "tcp lte", 0.0, Effects())
        effects = Effects()
        self.session.table.change(path, State.ACTIVE, 0.0, effects)
        self.pump.carry_out(effects)
        self.assertEqual((path.terms.level, self.told()[-1][-1]), (BACKUP + 10, "2 210 0 0"))
        path.received.bytes += 5000
        self.node.count_carried()
        self.assertGreaterEqual(self.node.policies.records.counts["lte"].octets, 5000)


class ClientTests(PathsTestCase):
    def test_reload(self) -> None:
        """Other policies in the settings hold at once."""
        config = ClientConfig(server="gateway", server_name="gateway")
        parts = Parts(cast(Host, FakeHost()), None, self.uplink_paths, Certificates())
        node = ClientNode(config, Pump(Clock(), self.pump.tunnel, self.clock.seconds), parts)
        node._server = "gateway"
        self.uplink_paths.uplinks_are([WAN, LTE])
        fresh = ClientConfig(server="gateway", server_name="gateway", uplink_policies=("lte backup",))
        node._machine = cast(Any, FakeMachine())
        node.reconfigure(fresh, ["uplink_policies"])
        self.assertEqual(node.policies.use("lte").kind, "backup")
        self.assertTrue(node.hello().terms)
        node.reconfigure(config, ["uplink_policies"])
        self.assertTrue(node.hello().terms)  # the server has some that it is to forget


class FakeHost:
    """A machine that nothing is changed on."""


class FakeMachine:
    """The same, for who looks after it."""

    def reconfigure(self, config: ClientConfig) -> None:
        """Nothing follows."""

    def uplinks_are(self, uplinks: list[Uplink]) -> None:
        """Nothing follows."""
