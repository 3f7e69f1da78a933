"""A relay as `ops` sees it."""

from __future__ import annotations

import random
from dataclasses import replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import RelayConfig
from morphnet.errors import Refused
from morphnet.rendezvous.relay.registry import Registry
from morphnet.roles.process.reloading import Reloading
from morphnet.roles.relay.node import RelayNode
from morphnet.wire.messages.relay import Drain, Register
from tests.rendezvous.relay.case import TERMS, FakeLine


class RelayNodeTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock = Clock()
        self.registry = Registry(clock, random.Random(1).randbytes, TERMS)
        self.node = RelayNode(RelayConfig(name="meet"), self.registry, lambda: 5000.0, clock.seconds)
        self.node.state = "serving"

    def come(self, name: str) -> FakeLine:
        """A node registers."""
        line = FakeLine(name)
        self.registry.register(line, Register(name, "1" * 16, ()))
        return line

    def test_status(self) -> None:
        """Guests by name, with where they come from; no sessions, and a section that says so."""
        for name in ("bert", "anna"):
            self.come(name)
        status = self.node.status()
        self.assertEqual((status.role, status.sections, status.sessions), ("relay", ("guests",), ()))
        self.assertEqual([(each.name, each.address) for each in status.guests],
                         [("anna", "203.0.113.9:50000"), ("bert", "203.0.113.9:50000")])  # fmt: skip

    def test_drain(self) -> None:
        """Who is there is asked to leave; who comes later is turned away; the state says so."""
        line = self.come("anna")
        self.assertIn("1 node(s)", self.node.drain(7.0))
        self.assertEqual([each.seconds for each in line.told if isinstance(each, Drain)], [7.0])
        self.assertRaises(Refused, self.come, "bert")
        self.assertEqual(self.node.status().state, "draining")

    def test_reload(self) -> None:
        """What was read again is said, and what needs a restart."""
        read = list[int]()
        before = RelayConfig(name="meet")
        reloading = Reloading(before, lambda: replace(before, max_nodes=3, enrol=False))
        node = RelayNode(before, self.registry, reloading=reloading)
        node.read_again = lambda: read.append(1)
        restart = "enrol, max_nodes: restart the process to apply"
        self.assertEqual(node.reload(), f"certificates and revocations are read again; {restart}")
        self.assertEqual(read, [1])

    def test_troubles(self) -> None:
        """What the operator should see to is in the status."""
        self.node.troubles = ("the echo port is in use",)
        self.assertEqual(self.node.status().warnings, ("the echo port is in use",))
