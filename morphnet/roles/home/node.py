"""The home as `ops` sees it."""

from __future__ import annotations

from morphnet.config.home import HomeConfig
from morphnet.roles.process.plain_node import PlainNode


class HomeNode(PlainNode[HomeConfig]):
    """A running home. `read_again` looks whether it is still registered."""

    role = "home"
    reloads = "Look whether we are registered; tell what settings need a restart."
    read = "looking whether we are registered"

    def registered(self, state: str) -> None:
        """What we are to the coordinator."""
        self.state = "serving" if state == "registered" else state
        self.tell("coordinator", "", state)
