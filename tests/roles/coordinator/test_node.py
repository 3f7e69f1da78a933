"""The coordinator's picture."""

from __future__ import annotations

from morphnet.config.home import CoordinatorConfig
from morphnet.roles.coordinator.node import CoordinatorNode
from tests.rendezvous.home.case import HomeTestCase


class CoordinatorNodeTests(HomeTestCase):
    def test_status(self) -> None:
        """How many homes there are, and what was counted."""
        node = CoordinatorNode(CoordinatorConfig(), self.registry, lambda: {"stun_answers": 3})
        self.register()
        node.state = "serving"
        status = node.status()
        self.assertEqual((status.role, status.well), ("coordinator", True))
        self.assertEqual(status.levels, {"homes": 1})
        self.assertEqual(status.counters, {"home_registrations": 1, "stun_answers": 3})

    def test_reload(self) -> None:
        """The certificate is read again."""
        node, read = CoordinatorNode(CoordinatorConfig(), self.registry, dict), list[int]()
        node.read_again = lambda: read.append(1)
        self.assertIn("certificate", node.verbs()[0].call())
        self.assertEqual(read, [1])
