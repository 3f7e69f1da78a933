"""What roles without a tunnel have in common."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.process.plain_node import PlainNode
from morphnet.roles.process.reloading import Reloading


@dataclass(frozen=True)
class Settings:
    name: str = "anna"
    size: int = 1


class AnyNode(PlainNode[Settings]):
    role, reloads, read = "home", "Read all again.", "all is read"


class PlainNodeTests(SynchronousTestCase):
    def test_status(self) -> None:
        """Its start is told by the wall's clock, whatever that did since."""
        clock = [5.0]
        node = AnyNode(Settings(), lambda: {"logins": 2}, wall=lambda: 1000.0, now=lambda: clock[0])
        clock[0] = 65.0
        status = node.status()
        self.assertEqual((status.role, status.name, status.started_at), ("home", "anna", 940.0))
        self.assertEqual((status.counters, status.state), ({"logins": 2}, "starting"))

    def test_reload(self) -> None:
        """What is beside the settings is read first, and what of them needs a restart is told."""
        node = AnyNode(Settings(), dict, reloading=Reloading(Settings(), lambda: Settings(size=2)))
        read: list[int] = []
        node.read_again = lambda: read.append(1)
        (verb,) = node.verbs()
        self.assertEqual(verb.call(), "all is read; size: restart the process to apply")
        self.assertEqual((read, node.reconfigure(Settings(), [])), ([1], ""))

    def test_happenings(self) -> None:
        """Its history is numbered."""
        node = AnyNode(Settings(), dict)
        node.tell("access", "s", "opened")
        self.assertEqual([each.text for each in node.happenings(0)], ["opened"])
