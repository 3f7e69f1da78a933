"""
Networks behind clients, as one of these clients has them: its own, and those that it reaches behind others.

The gateway's word makes no route by itself, see `inside`: what it names must lie in what the operator named, or he has
said that all of it is wanted (`accept_networks`). What the machine reaches by itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from morphnet.config.networks import unfit
from morphnet.config.roles import ClientConfig
from morphnet.host.outside import Network, within
from morphnet.rendezvous.advertising import Own, overlap
from morphnet.status import NetworkStatus
from morphnet.wire.messages.networks import Networks

_EVERYTHING = {"default": ("0.0.0.0/0", "::/0")}


class Beyond:
    """What the gateway says of them, and what of it counts here."""

    def __init__(self) -> None:
        self.said = Networks()
        self.reached: tuple[str, ...] = ()  # behind others, as far as they are reached from here
        self._left: dict[str, str] = {}  # of the others, why

    def look(self, config: ClientConfig, here: Sequence[Network]) -> None:
        """
        See what is reached.

        :param here: networks that this machine reaches without the tunnel.
        """
        named = [each for route in config.routes for each in _EVERYTHING.get(route, (route,))]
        named += config.mesh.networks
        near = [Own(each.prefix, each.device) for each in here]
        self._left, reached = {}, list[str]()
        for network in dict.fromkeys(self.said.reach):
            if unfit(network):
                continue
            if other := overlap(network, near):
                self._left[network] = f"overlaps {other.network}, which is reached by {other.what or 'no device'}"
            elif config.accept_networks or within(network, named):
                reached.append(network)
            else:
                self._left[network] = "is not in `routes`: `morphnet set accept_networks yes` takes it"
        self.reached = tuple(reached)

    def carried(self, config: ClientConfig) -> tuple[str, ...]:
        """Our own that are in use: never one that the operator did not name."""
        return tuple(each for each in self.said.carried if each in config.advertise)

    def statuses(self, config: ClientConfig) -> tuple[NetworkStatus, ...]:
        """Our own, then those of others."""
        own = [NetworkStatus(each, config.name, *self._state(each)) for each in config.advertise]
        others = [NetworkStatus(each, "", "used", "") for each in self.reached]
        return (*own, *others, *(NetworkStatus(each, "", "refused", why) for each, why in self._left.items()))

    def _state(self, network: str) -> tuple[str, str]:
        if network in self.said.carried:
            return "used", ""
        said = next((each for each in self.said.refused if each.startswith(f"{network} ")), "")
        return "asked", said.removeprefix(f"{network} ") or "the gateway has not answered"

    def warnings(self, config: ClientConfig) -> tuple[str, ...]:
        """What the operator should see to."""
        overlapping = (f"{each} {why}" for each, why in self._left.items() if why.startswith("overlaps"))
        ours = (each for each in self.said.refused if each.partition(" ")[0] in config.advertise)
        return (*ours, *(f"a network behind another machine is not reached: {each}" for each in overlapping))
