"""The home's picture."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.home import HomeConfig
from morphnet.roles.home.node import HomeNode


class HomeNodeTests(SynchronousTestCase):
    def test_status(self) -> None:
        """It is well while it is registered, and says what it is otherwise."""
        node = HomeNode(HomeConfig(), lambda: {"visits_linked": 1, "logins": 2})
        node.registered("registered")
        status = node.status()
        self.assertEqual((status.role, status.well), ("home", True))
        self.assertEqual((status.levels, status.counters), ({"visits_linked": 1}, {"logins": 2}))
        node.registered("registering: the coordinator is silent")
        self.assertFalse(node.status().well)
        self.assertEqual([each.text for each in node.happenings(0)], ["registered", node.state])

    def test_reload(self) -> None:
        """It looks whether it is still registered."""
        node, looked = HomeNode(HomeConfig(), dict), list[int]()
        node.read_again = lambda: looked.append(1)
        node.verbs()[0].call()
        self.assertEqual(looked, [1])
