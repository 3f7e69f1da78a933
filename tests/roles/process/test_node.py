"""What every process shows and lets be touched."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import ClientConfig, RelayConfig, Tuning
from morphnet.errors import ConfigError
from morphnet.host.host import Host
from morphnet.net.pump import Pump
from morphnet.net.tun import Tun
from morphnet.ops.verb import Verb
from morphnet.rendezvous.relay.registry import Registry
from morphnet.roles.client.certified_node import Certificates
from morphnet.roles.client.node import ClientNode, Parts
from morphnet.roles.client.uplink_paths import UplinkPaths
from morphnet.roles.process.node import Node
from morphnet.roles.relay.node import RelayNode
from morphnet.tunnel.events import Effects, Forgotten
from morphnet.tunnel.tunnel import Tunnel
from tests.ops.tables import assert_fit


class NodeTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.pump = Pump(self.clock, Tunnel(server=True, entropy=bytes), self.clock.seconds)
        self.node = Node("gateway", self.pump, self.clock.seconds)
        self.node.tunnel.add_session("anna", b"n" * 16, Tuning())

    def verb(self, name: str) -> Verb:
        """One of those that are offered."""
        return next(verb for verb in self.node.verbs() if verb.name == name)


class VerbTests(NodeTestCase):
    def test_fit(self) -> None:
        """Each verb's fields are what its call takes: of a server, a client, a relay."""
        client = ClientNode(
            ClientConfig(),
            self.pump,
            Parts(cast(Host, None), cast(Tun, None), cast(UplinkPaths, SimpleNamespace(ladders=None)), Certificates()),
        )
        relay = RelayNode(RelayConfig(name="meet"), cast(Registry, None), now=self.clock.seconds)
        for verbs in (self.node.verbs(), client.verbs(), relay.verbs()):
            assert_fit(self, verbs)

    def test_sessions(self) -> None:
        """What concerns sessions says so when there is none of that name."""
        for name, said in (("scheduler", {"name": "flow"}), ("rekey", {}), ("cut", {"path": 1})):
            verb = self.verb(name)
            with self.assertRaisesRegex(ConfigError, "no session 'bert'; sessions are: anna"):
                verb.call(**verb.filled({**said, "session": "bert"}))
        scheduler = self.verb("scheduler")
        self.assertIn("use flow", scheduler.call(**scheduler.filled({"name": "flow"})))

    def test_drop(self) -> None:
        """A session that is dropped is gone, and that is in the history."""
        self.verb("drop").call(session="anna")
        self.assertEqual(self.node.tunnel.sessions, {})
        self.assertEqual([each.kind for each in self.node.happenings(0)], ["session-gone"])


class HistoryTests(NodeTestCase):
    def test_events(self) -> None:
        """What the data plane tells is in the history, in words."""
        self.pump.carry_out(Effects(events=[Forgotten("anna")]))
        self.assertEqual([(each.kind, each.session) for each in self.node.happenings(0)], [("keys-forgotten", "anna")])
