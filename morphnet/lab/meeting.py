"""
Machines that meet at relays, in a box: real `twistd` processes, invited and joined as a user would do it.

Source: docs/lab, "Homes".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from morphnet.lab.box import Box
from morphnet.lab.homes import RELAYS
from morphnet.lab.vpn import Daemon, Settings, wait_for

RELAY_NAME = "meet.example"


class Meeting:
    """One network: a relay that takes in invitations, further relays, and machines."""

    def __init__(self, box: Box, relay: Settings | None = None) -> None:
        self.box = box
        self.relay = Daemon(box.node("relay"), "morph-relay", "meet", relay or {})
        self.others: list[Daemon] = []
        self.machines: dict[str, Daemon] = {}

    def found(self) -> None:
        """Make the network's CA and start the first relay."""
        self.relay.morphnet("init", "--name", RELAY_NAME, "--address", RELAYS[0], "--dir", str(self.relay.etc))
        self.relay.start()

    def enrol(self, node: str, name: str, settings: Settings | None = None, *, by_name: bool = False) -> Daemon:
        """
        Invite a machine and let it join; it is not started.

        :param by_name: it finds the first relay by its name, which it must know from its /etc/hosts.
        """
        relays = (RELAY_NAME,) if by_name else RELAYS[: 1 + len(self.others)]
        machine = Daemon(self.box.node(node), "morph-client", name, {"mesh-relays": relays, **(settings or {})})
        invitation = Path(self.relay.node.dir) / f"{name}.invite"
        self.relay.morphnet("invite", name, "--dir", str(self.relay.etc), "--file", str(invitation))
        where = ("--server", RELAY_NAME) if by_name else ()
        machine.morphnet("join", str(invitation), *where, "--dir", str(machine.etc))
        self.machines[name] = machine
        return machine

    def join(self, node: str, name: str, settings: Settings | None = None) -> Daemon:
        """Enrol a machine and start it."""
        machine = self.enrol(node, name, settings)
        machine.start()
        return machine

    def peer(self, at: str, of: str) -> dict[str, Any]:
        """What the machine `at` says of the peer `of`; {} when it does not know it."""
        peers = self.machines[at].status()["peers"]
        return next((peer for peer in peers if peer["name"] == of), {})

    def ways(self, at: str, of: str) -> str:
        """ "direct", "relay", "none", or "" before it is known."""
        return str(self.peer(at, of).get("way", ""))

    def wait_met(self, names: Sequence[str], way: str = "", within: float = 20.0) -> float:
        """Wait until every two of them have a way (that one, if it is said): seconds that it took."""
        wanted = (way,) if way else ("relay", "direct")

        def met() -> bool:
            pairs = ((one, other) for one in names for other in names if one != other)
            return all(self.ways(*pair) in wanted for pair in pairs)

        return wait_for(f"{', '.join(names)} have met {way}".strip(), met, within)

    def inner(self, name: str) -> str:
        """The inner IPv4 address of a machine, as its peers know it."""
        for other in self.machines:
            found = self.peer(other, name).get("inner") or ()
            if found:
                return str(found[0])
        return ""

    def add_relay(self, turn: int = 1) -> Daemon:
        """Start a further relay, with a certificate that the first one's host has issued."""
        relay = Daemon(self.box.node(f"relay{turn + 1}"), "morph-relay", f"meet{turn + 1}", {})
        relay.dir.mkdir(parents=True)
        where = "--address", RELAYS[turn], "--out", str(relay.etc)
        self.relay.morphnet("pki", "relay", f"{relay.name}.example", *where, "--dir", str(self.relay.etc))
        relay.start()
        self.others.append(relay)
        return relay

    def daemons(self) -> list[Daemon]:
        """Every process."""
        return [*self.machines.values(), self.relay, *self.others]

    def stop(self) -> None:
        """End every process."""
        for daemon in self.daemons():
            daemon.stop()
