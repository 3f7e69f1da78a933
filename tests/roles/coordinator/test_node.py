"""The coordinator's picture."""

from __future__ import annotations

from twisted.internet.defer import succeed

from morphnet.config.home import CoordinatorConfig
from morphnet.errors import ConfigError
from morphnet.roles.coordinator.node import CoordinatorNode
from morphnet.status import MoveStatus
from tests.ops.tables import assert_fit
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

    def test_move(self) -> None:
        """The verb asks whoever knows how."""
        node = CoordinatorNode(CoordinatorConfig(), self.registry, dict)
        verb = next(each for each in node.verbs() if each.name == "move")
        self.assertRaises(ConfigError, verb.call, home="all", to="x")
        node.move = lambda home, to: succeed(MoveStatus(to, (home,), ()))
        verb = next(each for each in node.verbs() if each.name == "move")
        self.assertEqual(self.successResultOf(verb.call(home="all", to="x")).moved, ("all",))
        assert_fit(self, node.verbs())
