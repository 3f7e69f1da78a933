"""
Names of this network: who answers for them, and what clients are told of it.

Every machine that has a lease has a name, whether it is there or not; the gateway is `gateway`, and what its
certificate calls it. All that is not ours is asked of other servers in the clients' place: these see the gateway alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from morphnet.config.names import by_domain
from morphnet.config.roles import ServerConfig
from morphnet.errors import HostError
from morphnet.net.dnsmessage import PORT, unfit_outside
from morphnet.net.nameserver import NameServer
from morphnet.net.upstream import Upstream
from morphnet.rendezvous.naming import GATEWAY, Naming, Zone, inner, is_good
from morphnet.roles.signalling.control_server import Caller
from morphnet.store.base import Lease, Store
from morphnet.wire.messages.advice import Advice
from morphnet.wire.messages.control import Hello

READ_EVERY = 10.0  # seconds between looks who has a lease
LOOK_EVERY = 2.0  # seconds between looks whom this machine asks for names
GATHER = 0.3  # seconds from one look through all names to the next, when more and more are let in


class Ground(Protocol):
    """The machine that this server runs on."""

    def upstream_dns(self) -> Sequence[str]:
        """
        The DNS servers that it has itself.

        :raises HostError: that cannot be read.
        """
        ...

    def name_peers(self, names: Mapping[str, Sequence[str]]) -> None:
        """
        Let it know these names itself.

        :raises HostError: they cannot be written.
        """
        ...


@dataclass(frozen=True)
class Around:
    """What there is around it."""

    net: Any  # the reactor
    store: Store
    ground: Ground
    tell: Callable[[str, str, str], None]  # kind, client, sentence: for the history
    may_name: bool = True  # this machine's file of names is ours to write: not under its systemd unit


class Names:
    """
    Of one server.

    :param own: its inner addresses.
    """

    def __init__(self, config: ServerConfig, own: Sequence[str], around: Around) -> None:
        self._config, self._own, self._around = config, tuple(own), around
        pools = [each for each in (config.pool4, config.pool6) if each]
        self._zone = Zone(pools)
        self._naming = Naming(self._zone, by_domain(config.names.domains), self._resolvers)
        upstream = Upstream(around.net, unfit_outside(pools))
        self._server = NameServer(around.net, self._naming, upstream, inner(pools))
        self._leases: dict[str, Lease] = {}
        self._servers: tuple[str, ...] = ()  # whom we ask, as it was looked up last
        self._written: Mapping[str, Sequence[str]] | None = None  # what this machine knows itself
        self._hearing: dict[str, Caller] = {}  # clients that understand, by name
        self._told: Advice | None = None
        self._serves, self._is_closed = False, False
        self._gathering: Any = None
        self._named_at = float("-inf")
        self._troubles: tuple[str, ...] = ()

    # -- what happens --------------------------------------------------------------------------------------------------

    def begin(self, leases: Iterable[Lease]) -> None:
        """Answer from now on, with what the records say; where that cannot be, clients do as they did before."""
        self._leases = {each.name: each for each in leases}
        self._serve()
        self._name()
        self.look()

    def _serve(self) -> None:
        """Answer, or do not, as the settings have it; where another program has the port, until it is gone."""
        names, own = self._config.names, set(self._own)
        wanted = names.serve and not own & set(self._config.dns)  # else somebody else shall answer there
        self._troubles = ()
        if wanted and not self._serves:
            try:
                for host in self._own:
                    self._server.listen(host)
                self._serves = bool(self._own)
            except HostError as problem:
                self._troubles = (f"names of this network are not known to clients: {problem}",)
                self._server.close()
        elif self._serves and not wanted:
            self._serves = False
            self._server.close()

    def read(self) -> Deferred[None]:
        """Look who has a lease, and whom we ask."""
        return Deferred.fromCoroutine(self._read())

    async def _read(self) -> None:
        try:
            leases = {each.name: each for each in await self._around.store.leases()}
        except HostError:
            leases = self._leases  # they are read again soon
        if self._is_closed:
            return
        if leases != self._leases:
            self._leases = leases
            self._name()
        self._serve()
        self.look()

    def leased(self, lease: Lease) -> None:
        """A client is let in."""
        if self._leases.get(lease.name) != lease:
            self._leases[lease.name] = lease
            if self._gathering is None:
                wait = self._named_at + GATHER - self._around.net.seconds()
                self._gathering = self._around.net.callLater(max(0.0, wait), self._name)

    def welcomed(self, caller: Caller, hello: Hello) -> None:
        """And has been told."""
        if hello.advice:
            self._hearing[caller.name] = caller

    def left(self, caller: Caller) -> None:
        """Its control link is gone."""
        if self._hearing.get(caller.name) is caller:
            del self._hearing[caller.name]

    def reconfigure(self, config: ServerConfig) -> None:
        """Live by these settings."""
        self._config = config
        self._naming.domains = by_domain(config.names.domains)
        self._serve()
        self._name()
        self.look()

    def look(self) -> None:
        """See what there is now, and tell who has to know."""
        try:
            resolvers = self._config.dns or tuple(self._around.ground.upstream_dns())
            self._servers = tuple(each for each in resolvers if each not in self._own)
        except HostError:
            pass  # those of before are asked until it can be read
        said = self.advice
        if self._told is not None and said != self._told:
            for caller in self._hearing.values():
                caller.send(said)
        self._told = said

    def close(self) -> Deferred[Any]:
        """Answer nobody any more."""
        self._is_closed = True
        self._gathered()
        return self._server.close()

    # -- what comes of it ----------------------------------------------------------------------------------------------

    @property
    def advice(self) -> Advice:
        """What clients are told."""
        config = self._config
        if not self._serves:
            return Advice(tuple(filter(_is_ours_to_tell, config.dns)), relays=config.relays)
        dns = self._own if self._servers else ()
        return Advice(dns, True, tuple(self._naming.domains), config.relays)

    def _resolvers(self) -> Sequence[str]:
        return self._servers

    def _name(self) -> None:
        """Know the machines by their names, here and for who asks; a client that is called like us is not."""
        self._gathered()
        self._named_at = self._around.net.seconds()
        ours = {name: self._own for name in (GATEWAY, self._config.name.partition(".")[0]) if is_good(name)}
        leases = ((name, lease) for name, lease in self._leases.items() if name not in ours)
        clients: dict[str, Sequence[str]] = {name: _addresses(lease) for name, lease in leases}
        self._zone.are({**clients, **ours})
        known = clients if self._config.names.hosts and self._around.may_name else {}
        if known == (self._written or {}):
            return
        try:
            self._around.ground.name_peers(known)
        except HostError as problem:
            self._around.tell("host-trouble", "", f"clients are not known here by name: {problem}")
        self._written = known  # or not, until they are others

    def _gathered(self) -> None:
        timer, self._gathering = self._gathering, None
        if timer is not None and timer.active():
            timer.cancel()

    # -- what ops sees -------------------------------------------------------------------------------------------------

    def listening(self) -> tuple[str, ...]:
        """Where names are answered."""
        return tuple(f"{host} tcp, udp {PORT} for names" for host in self._own) if self._serves else ()

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        return self._troubles

    def counters(self) -> dict[str, int]:
        """Questions."""
        return self._server.counters()


class NoNames:
    """Nobody answers, and clients are told nothing."""

    advice = Advice()

    def leased(self, lease: Lease) -> None:
        """It has no name."""

    def welcomed(self, caller: Caller, hello: Hello) -> None:
        """Nothing is told."""

    def left(self, caller: Caller) -> None:
        """Nor was."""

    def reconfigure(self, config: ServerConfig) -> None:
        """They change nothing."""

    def listening(self) -> tuple[str, ...]:
        """Nowhere."""
        return ()

    def warnings(self) -> tuple[str, ...]:
        """None."""
        return ()

    def counters(self) -> dict[str, int]:
        """None."""
        return {}


def _is_ours_to_tell(address: str) -> bool:
    """Whether it means the same to clients as here: not this very machine, nor what is on a link of its own."""
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_loopback or parsed.is_unspecified or parsed.is_link_local)


def _addresses(lease: Lease) -> tuple[str, ...]:
    return tuple(each for each in (lease.inner4, lease.inner6) if each)
