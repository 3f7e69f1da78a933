"""Who may what, at a client: its own addresses, its gateway's, its peers', and those that the gateway tells."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from morphnet.config.policy import GATEWAY, called
from morphnet.net.tls import Peer
from morphnet.roles.process.access import Access
from morphnet.tunnel.places import OURSELVES, PEERS, TOLD
from morphnet.wire.messages.access import MOST_HOLDERS, MOST_MESSAGES, Holders
from morphnet.wire.messages.control import Welcome

MOST = MOST_HOLDERS * MOST_MESSAGES  # addresses that a gateway may tell of


class ClientAccess(Access):
    """What comes from a peer is the peer's; what a gateway hands on is whose the gateway says it is."""

    name = ""  # ours
    _inside: tuple[dict[str, tuple[str, ...]], tuple[str, ...]] = {}, ()  # by the gateway: ours and its own; networks
    _among: tuple[dict[str, tuple[str, ...]], tuple[str, ...]] = {}, ()  # ours among peers; networks
    _heard_of = 0  # addresses that the gateway has told of

    @property
    def ourselves(self) -> tuple[str, ...]:
        return called(self.name)

    def welcomed(self, welcome: Welcome, server: Peer | None) -> None:
        """The gateway has given us addresses."""
        prefixed = [each for each in (welcome.inner4, welcome.inner6) if each]
        ours = {each.partition("/")[0]: self.ourselves for each in prefixed}
        named = (GATEWAY,) if server is None else (GATEWAY, *called(server.name))
        gateways = {each: named for each in (welcome.gateway4, welcome.gateway6) if each}
        self._inside = {**gateways, **ours}, tuple(str(ipaddress.ip_interface(each).network) for each in prefixed)
        self._ourselves()

    def _ourselves(self) -> None:
        networks = dict.fromkeys((*self._inside[1], *self._among[1]))
        self.places.are(OURSELVES, {**self._inside[0], **self._among[0]}, networks)

    def peers_are(self, ours: Sequence[str], networks: Sequence[str], names: Mapping[str, Sequence[str]]) -> None:
        """
        With these peers there is a session.

        :param ours: our addresses among them.
        :param networks: that they are in.
        :param names: their addresses, as their certificates say.
        """
        self._among = {each: self.ourselves for each in ours if each}, tuple(networks)
        self._ourselves()
        self.places.are(PEERS, {address: called(name) for name, addresses in names.items() for address in addresses})

    def told(self, said: Holders) -> None:
        """The gateway tells whose addresses are."""
        fresh = {address: called(name) for address, _, name in (each.partition(" ") for each in said.holders)}
        if not said.more:
            self._heard_of = 0
            self.places.are(TOLD, fresh)
        elif self._heard_of + len(fresh) <= MOST:
            self.places.add(TOLD, fresh)
        else:
            return
        self._heard_of += len(fresh)
