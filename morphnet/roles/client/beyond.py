"""
Networks behind clients, as one of these clients has them: its own, and those that it reaches behind others.

The gateway's word makes no route by itself, see `inside`: what it names must lie in what the operator named, or he has
said that all of it is wanted that is private (`accept_networks`): nobody's word draws the world in. What the machine
reaches by itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from morphnet.config.networks import through, unfit, written
from morphnet.config.roles import ClientConfig
from morphnet.host.outside import Network, within
from morphnet.rendezvous.owned import Own, Owned
from morphnet.status import NetworkStatus
from morphnet.wire.messages.networks import Networks

WORLD = ("0.0.0.0/0", "::/0")
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")  # RFC 1918, RFC 4193
_EVERYTHING = {"default": ("0.0.0.0/0", "::/0")}


class Beyond:
    """What the gateway says of them, and what of it counts here."""

    def __init__(self) -> None:
        self.said = Networks()
        self.peers: dict[str, tuple[str, ...]] = {}  # inner addresses of those with whom there is a session
        self.reached: tuple[str, ...] = ()  # behind others, as far as they are reached from here
        self._left: dict[str, str] = {}  # of the others, why

    def look(self, config: ClientConfig, here: Sequence[Network]) -> None:
        """
        See what is reached.

        :param here: networks that this machine reaches without the tunnel.
        """
        named = [each for route in config.routes for each in _EVERYTHING.get(route, (route,))]
        named += config.mesh.networks
        near = Owned(Own(each.prefix, each.device) for each in here)
        self._left, reached = {}, list[str]()
        for network in dict.fromkeys(self.said.reach):
            if unfit(network):
                continue
            if other := near.overlap(network):
                self._left[network] = f"overlaps {other.network}, which is reached by {other.what or 'no device'}"
            elif within(network, named) or (config.accept_networks and within(network, PRIVATE)):
                reached.append(network)
            elif config.accept_networks:
                self._left[network] = "is not private, and not in `routes`"
            else:
                self._left[network] = "is not in `routes`: `morphnet set accept_networks yes` takes it"
        self.reached = tuple(reached)

    def carried(self, config: ClientConfig) -> tuple[str, ...]:
        """Our own that are in use: never one that the operator did not name; without a gateway, all that he did."""
        if not config.all_servers():
            return _own(config)
        return tuple(each for each in self.said.carried if each in _own(config))

    def leads_out(self, config: ClientConfig) -> bool:
        """Whether everything goes through a peer."""
        return config.mesh.exit in self.peers

    def through(self, config: ClientConfig) -> tuple[str, ...]:
        """The networks that are reached through peers."""
        return tuple(network for peer, network in map(through, config.mesh.through) if peer in self.peers)

    def behind_peers(self, config: ClientConfig) -> dict[str, tuple[str, ...]]:
        """What each peer is a way to."""
        found: dict[str, tuple[str, ...]] = dict.fromkeys(self.peers, ())
        if self.leads_out(config):
            found[config.mesh.exit] = WORLD
        for peer, network in map(through, config.mesh.through):
            if peer in found:
                found[peer] = (*found[peer], network)
        return found

    def exits(self, config: ClientConfig) -> tuple[str, ...]:
        """Inner addresses of peers whose way to the world is this machine."""
        wanted, every = config.mesh.exit_for, "*" in config.mesh.exit_for
        return tuple(each for name, inner in sorted(self.peers.items()) if every or name in wanted for each in inner)

    def statuses(self, config: ClientConfig) -> tuple[NetworkStatus, ...]:
        """Our own, then those of others."""
        own = [NetworkStatus(each, config.name, *self._state(config, each)) for each in _own(config)]
        others = [NetworkStatus(each, "", "used", "") for each in self.reached]
        others += [self._by_peer(peer, network) for peer, network in map(through, config.mesh.through)]
        others += [self._by_peer(config.mesh.exit, "default")] if config.mesh.exit else []
        return (*own, *others, *(NetworkStatus(each, "", "refused", why) for each, why in self._left.items()))

    def _by_peer(self, peer: str, network: str) -> NetworkStatus:
        here = peer in self.peers
        return NetworkStatus(network, peer, "used" if here else "standby", "" if here else "that peer is not there")

    def _state(self, config: ClientConfig, network: str) -> tuple[str, str]:
        if network in self.carried(config):
            return "used", ""
        said = next((each for each in self.said.refused if each.startswith(f"{network} ")), "")
        return "asked", said.removeprefix(f"{network} ") or "the gateway has not answered"

    def warnings(self, config: ClientConfig) -> tuple[str, ...]:
        """What the operator should see to."""
        overlapping = (f"{each} {why}" for each, why in self._left.items() if why.startswith("overlaps"))
        ours = (each for each in self.said.refused if each.partition(" ")[0] in _own(config))
        return (*ours, *(f"a network behind another machine is not reached: {each}" for each in overlapping))


def _own(config: ClientConfig) -> tuple[str, ...]:
    """What is behind this machine, as the gateway writes it."""
    return tuple(map(written, config.advertise))
