"""
Whom this machine asks for names, by what the server says and the operator wants; and our own small server on it.

Where all goes through the tunnel so does every question. In a split tunnel the gateway is asked for what the network
itself knows, its machines and their addresses, and for those of its domains that the operator has named: nobody can
have it answer for the world. Where resolv.conf is all there is, it cannot say that; then a server of ours on loopback
is named there, which asks the gateway for those names, and the machine's own servers for all others.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred, DeferredList

from morphnet.config.names import ALL, is_domain
from morphnet.config.roles import CONTROL_PORT, ClientConfig
from morphnet.errors import HostError
from morphnet.host.dns import Wish
from morphnet.pki.names import split_address
from morphnet.rendezvous.naming import GATEWAY, Naming, reverse_zones
from morphnet.roles.client.inside import Inside, dns_servers, takes_all
from morphnet.text import DOMAIN
from morphnet.wire.messages.control import Welcome

if TYPE_CHECKING:
    from morphnet.net.nameserver import NameServer
    from morphnet.roles.client.exitnames import ExitNames

STUB = "127.0.0.73"
RATE, BURST = 2000.0, 4000  # questions of this machine's programs a second, and at once
SHARE = 512  # of them that wait
AS_BEFORE = ("127.0.0.1",)  # what a resolv.conf without a server means, resolv.conf(5)


def wished(welcome: Welcome, config: ClientConfig, reached: Inside) -> Wish:
    """
    Who is asked for what.

    :param reached: what of the welcome is reached through the tunnel.
    """
    if not config.dns:
        return Wish()
    if servers := dns_servers(welcome, config):
        return Wish(servers, welcome.names)
    whole = tuple(each for each in (welcome.gateway4, welcome.gateway6) if each) if takes_all(config.routes) else ()
    gateways = whole or reached.gateways
    if not welcome.names or not gateways:
        return Wish()
    reverse = [zone for network in reached.networks for zone in reverse_zones(network)]
    return Wish(gateways, True, (DOMAIN, *reverse, *taken(welcome, config)))


def taken(welcome: Welcome, config: ClientConfig) -> list[str]:
    """The gateway's other domains that the operator wants to be asked there."""
    wanted = config.names.domains
    return [each for each in welcome.domains if is_domain(each) and (ALL in wanted or each in wanted)]


def of_others(config: ClientConfig) -> list[str]:
    """
    Names that no peer has here, whatever it is called: of the hosts that we call, and what the gateway goes by inside.

    They would stand in this machine's file of names, which is asked before anybody else.
    """
    servers = [split_address(each, CONTROL_PORT)[0] for each in config.all_servers()]
    relays = [split_address(each, CONTROL_PORT)[0] for each in config.mesh.relays]
    gateways = [each.partition(".")[0] for each in (GATEWAY, config.server_name, *servers)] if servers else []
    return [*servers, *relays, *filter(None, gateways)]


class Exits(Protocol):
    """Names by way of an exit, see `exitnames`."""

    proven: tuple[str, ...]

    def answer(self, inner: Sequence[str], allowed: Sequence[str], peers: Mapping[str, Sequence[str]]) -> None:
        """Answer these."""
        ...

    def prove(self, servers: Sequence[str], then: Callable[[], None]) -> None:
        """See whether an exit answers."""
        ...


class NoExits:
    """There are none."""

    proven: tuple[str, ...] = ()

    def answer(self, inner: Sequence[str], allowed: Sequence[str], peers: Mapping[str, Sequence[str]]) -> None:
        """Nobody is answered."""

    def prove(self, servers: Sequence[str], then: Callable[[], None]) -> None:
        """Nobody answers."""


class Stubs(Protocol):
    """Who opens our own servers on this machine."""

    exits: Exits

    def serve(self, domains: Sequence[str], servers: Sequence[str]) -> str:
        """
        Ask these servers for what is under these domains, and the machine's own for the rest.

        :raises HostError: its address is taken.
        """
        ...

    def counters(self) -> dict[str, int]:
        """Questions."""
        ...


class NoStub:
    """There is none."""

    def __init__(self) -> None:
        self.exits: Exits = NoExits()

    def serve(self, domains: Sequence[str], servers: Sequence[str]) -> str:
        """It is nowhere."""
        return ""

    def counters(self) -> dict[str, int]:
        """None."""
        return {}


class Stub:
    """
    Our own server, open from the first time that it is wanted.

    :param net: the reactor.
    :param own: the DNS servers that the machine has without us.
    :param networks: the inner networks of peers; none: there are no peers, and no exits.
    """

    def __init__(self, net: Any, own: Callable[[], Sequence[str]], networks: Sequence[str] = ()) -> None:
        self._net, self._own = net, own
        self._exits = self._exit_names(networks) if networks else None
        self.exits: Exits = self._exits or NoExits()
        self._server: NameServer | None = None

    def _exit_names(self, networks: Sequence[str]) -> ExitNames:
        from morphnet.roles.client.exitnames import ExitNames  # brings all of DNS

        return ExitNames(self._net, self._others, networks)

    def serve(self, domains: Sequence[str], servers: Sequence[str]) -> str:
        """As `Stubs` says; answers with the address where it is."""
        if self._server is None:
            from morphnet.net.nameserver import NameServer  # brings all of DNS, which few need
            from morphnet.net.upstream import Upstream

            naming = Naming(None, {}, self._others)
            upstream = Upstream(self._net, _fits, SHARE)
            server = NameServer(self._net, naming, upstream, _is_here, (RATE, BURST))
            server.listen(STUB)
            self._server = server
        self._server.naming.domains = {each: tuple(servers) for each in domains}
        return STUB

    def _others(self) -> Sequence[str]:
        try:
            own = self._own()
        except HostError:  # it cannot be read now
            own = ()
        return [each for each in own if each != STUB] or AS_BEFORE

    def counters(self) -> dict[str, int]:
        """Questions."""
        own = Counter(self._server.counters() if self._server is not None else {})
        return dict(own + Counter(self._exits.counters() if self._exits is not None else {}))

    def close(self) -> Deferred[Any]:
        """Answer nobody any more."""
        server, self._server = self._server, None
        return DeferredList([each.close() for each in (self._exits, server) if each is not None])


def _fits(host: str) -> bool:
    """What this machine's own servers say is taken as it always was."""
    return False


def _is_here(host: str) -> bool:
    """Only programs of this machine have such an address."""
    return ipaddress.ip_address(host).is_loopback
