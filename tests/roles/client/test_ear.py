"""Who hears the control link."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.client.ear import Ear


class EarTests(SynchronousTestCase):
    def test_both_hear(self) -> None:
        """What becomes of the link is heard by the node and by the machine that calls it."""
        heard: list[tuple[str, object]] = []

        def ear(who: str) -> Any:
            return lambda *said: heard.append((who, said[0]))

        notices = SimpleNamespace(refused=ear("notices"))
        node = SimpleNamespace(link_lost=ear("node"), notices=notices)
        both = Ear(cast(Any, node), cast(Any, SimpleNamespace(lost=ear("machine"), refused=ear("machine"))))
        both.lost("gone")
        both.refused("full", 3.0)
        self.assertEqual(heard[:2], [("node", "gone"), ("machine", "gone")])
        self.assertEqual(heard[2:], [("notices", "the server refuses us: full"), ("machine", "full")])
