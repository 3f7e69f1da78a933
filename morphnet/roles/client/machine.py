"""What a client makes of the machine that it runs on: as its server says, as its paths allow, and as its peers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from morphnet.config.names import AskedNames
from morphnet.config.roles import ClientConfig
from morphnet.errors import HostError
from morphnet.host.behind import Behind
from morphnet.host.dns import Wish
from morphnet.host.host import ClientNetwork, Host
from morphnet.host.strict import StrictTable
from morphnet.host.uplinks import Uplink
from morphnet.net.ondevice import MARK
from morphnet.roles.client.beyond import Beyond
from morphnet.roles.client.carrying import Carrying
from morphnet.roles.client.inside import Inside, by_family, inside, takes_all
from morphnet.roles.client.overlaps import Overlaps
from morphnet.roles.client.resolving import NoStub, Stubs, taken, wished
from morphnet.tunnel.session import Session
from morphnet.wire.messages.advice import Advice
from morphnet.wire.messages.control import Welcome
from morphnet.wire.messages.networks import Networks

_SENTENCES = {
    "tunnel": "connected by {by}: traffic goes through the tunnel",
    "outside": "no path works: traffic goes as it does without morphnet",
    "held": "no path works: nothing leaves this machine (strict)",
    "": "no path works",
}

_NAMELESS = (
    "strict is on, and the server names no DNS server: one of the local network is not reached, so names may not be"
    " known; on the gateway, `morphnet set dns ADDRESS` names one"
)

_CANNOT_SPLIT = (
    "names of the network are not known here: in a split tunnel resolvconf cannot ask for some at the gateway, and for"
    " others elsewhere; `morphnet set dns_split yes` asks the gateway for all, or install systemd-resolved"
)
_UNTAKEN = "the gateway knows names of {domains}: `morphnet set names.domains '*'` has them asked there"


def kill_switch(config: ClientConfig) -> StrictTable:
    """What lets nothing out but through the tunnel, and what our own sockets send."""
    return StrictTable(config.tun, MARK, config.routes)


def path_works(session: Session | None) -> bool:
    """Whether there is one that traffic may be given to."""
    return session is not None and any(path.usable for path in session.paths.values())


def _working(session: Session | None) -> str:
    """The uplinks of these paths."""
    return ", ".join(path.uplink for path in session.paths.values() if path.usable) if session is not None else ""


class Machine:
    """
    :param tun: the name of our device.
    :param tell: (kind, sentence) for the node's history.
    :param now: seconds.
    :param why: what is in the way while no path works, in a sentence; "" where nobody knows.
    """

    def __init__(
        self,
        config: ClientConfig,
        host: Host,
        tun: str,
        tell: Callable[[str, str], None],
        now: Callable[[], float],
        why: Callable[[], str] = str,
    ) -> None:
        self._config, self._host, self._tun, self._tell, self._why = config, host, tun, tell, why
        self._carrying = Carrying(now, strict=config.strict)
        self._overlaps = Overlaps(partial(tell, "overlap"))
        self._network: ClientNetwork | None = None  # as it was set up last
        self._among_network: ClientNetwork | None = None  # the same without a server
        self._welcome: Welcome | None = None  # the last one
        self._uplinks = False  # there is one
        self.beyond = Beyond()  # networks behind clients
        self._behind = Behind()  # what this machine is a way to
        self._among: Callable[[], None] = lambda: None  # sets up what there is without a server
        self.stub: Stubs = NoStub()  # our own DNS server here, where one is needed
        self._unnamed: tuple[str, ...] = ()  # why names of the network are not known here
        self.inner: tuple[str, str] = ("", "")  # our inner addresses, one of each family; "" for none

    @property
    def traffic(self) -> str:
        """Where that goes which is to go through the tunnel, see `NodeStatus`; "" when nothing is."""
        config = self._config
        return self._carrying.traffic if config.tun and config.all_servers() and config.routes else ""

    def warnings(self) -> tuple[str, ...]:
        """What is not as it should be here, one sentence each."""
        config, welcome = self._config, self._welcome
        nameless = config.strict and config.dns and welcome is not None and not welcome.dns and takes_all(config.routes)
        own = *self._overlaps.sentences, *self.beyond.warnings(config), *self._unnamed, *self._untaken()
        return (*own, *((_NAMELESS,) if nameless else ()))

    def welcomed(self, welcome: Welcome) -> None:
        """Make it what the server says, if it is anything else."""
        self._welcome = welcome
        if not self._config.tun:
            return  # nothing of this machine is changed
        config, ours = self._config, inside(welcome, self._config.mesh.networks, self._config.routes)
        self.inner = by_family(ours.addresses)
        dns = self._resolving(welcome, ours)
        self.beyond.look(config, self._host.networks)
        network = ClientNetwork(
            self._tun,
            *self.inner,
            min(config.tuning.mtu, welcome.mtu),
            config.routes,
            dns,
            config.mss_clamp,
            (*ours.networks, *ours.gateways, *self.beyond.reached, *self.beyond.through(config)),
            config.local == "allow" and not config.strict,
            self._carrying.carries,
        )
        self._overlaps.inner = tuple(each for each in (welcome.inner4, welcome.inner6) if each)
        if network == self._network:
            self._lead_behind()
            return
        for each in ours.left_out:
            self._tell("left-out", f"{each}, the server's inner network, is not in `routes`: it is not reached")
        if welcome.dns and not welcome.names and not dns.servers and config.dns:
            self._tell("left-out", "the server's DNS servers are not used in a split tunnel, unless by `dns_split`")
        self._set_up(network)
        self._lead_behind()

    def _resolving(self, welcome: Welcome, ours: Inside) -> Wish:
        """Whom to ask for names."""
        wish, self._unnamed = wished(welcome, self._config, ours), ()
        manner = self._host.asks_by() if wish.domains else ""
        if manner == "resolvconf":
            self._unnamed = (_CANNOT_SPLIT,)
        elif manner == "file":
            try:
                return replace(wish, stub=self.stub.serve(wish.domains, wish.servers))
            except HostError as problem:
                self._unnamed = (f"names of the network are not known here: {problem}",)
        return wish

    def _untaken(self) -> tuple[str, ...]:
        """Domains that the gateway knows, and the operator here may want."""
        config, welcome = self._config, self._welcome
        if welcome is None or not config.dns or config.dns_split or takes_all(config.routes) or config.names.domains:
            return ()
        named = ", ".join(taken(welcome, replace(config, names=AskedNames(("*",)))))
        return (_UNTAKEN.format(domains=named),) if named else ()

    def advised(self, advice: Advice) -> None:
        """The server tells other things than in its welcome."""
        if self._welcome is not None:
            welcome = replace(self._welcome, dns=advice.dns, names=advice.names, domains=advice.domains)
            self.welcomed(welcome)

    def networks_are(self, said: Networks) -> None:
        """The server tells of networks behind clients."""
        self.beyond.said = said
        if self._welcome is not None:
            self.welcomed(self._welcome)

    def _lead_behind(self) -> None:
        """Be the way to the networks behind this machine."""
        config, beyond = self._config, self.beyond
        named = {**beyond.peers, config.name: tuple(filter(None, self.inner))}
        self.stub.exits.answer(self.inner, beyond.exits(config), named)
        behind = Behind(beyond.carried(config), beyond.said.forwarded, config.advertise_routed, beyond.exits(config))
        if behind == self._behind:
            return
        try:
            self._host.behind_are(behind)
            self._behind = behind
        except HostError as problem:
            self._tell("host-trouble", f"networks behind this machine could not be set up: {problem}")

    def reconfigure(self, config: ClientConfig) -> None:
        """
        Make it what these settings say.

        :raises HostError: it refuses the kill switch.
        """
        before, self._config = self._config, config
        self._carrying.strict = config.strict
        if config.strict and (before.strict, before.routes) != (True, config.routes):
            self._host.shut(kill_switch(config))
            self.networks_changed()
        if self._welcome is not None:
            self.welcomed(self._welcome)
        if before.strict and not config.strict:
            self._host.open_again()

    def _set_up(self, network: ClientNetwork) -> None:
        try:
            self._host.client_up(network)
            self._network = network
            self._overlaps.look(self._host.networks)
        except HostError as problem:
            self._tell("host-trouble", f"the host could not be configured: {problem}")

    def paths_of(self, session: Session | None) -> None:
        """
        Look whether traffic goes into the tunnel now; call when a path changes, and now and then.

        :param session: with the server, if there is one.
        """
        if not self._carrying.look(works=path_works(session), uplinks=self._uplinks):
            return
        if self._network is not None and self._network.carries is not self._carrying.carries:
            self._set_up(replace(self._network, carries=self._carrying.carries))
        works = self._carrying.traffic == "tunnel"
        if self.traffic or not works:
            sentence = _SENTENCES[self.traffic].format(by=_working(session))
            kind = f"traffic-{self.traffic}" if self.traffic else "no-path"
            self._tell(kind, sentence if works else self._why() or sentence)

    def among_peers(self, inner: Sequence[str], networks: Sequence[str], mtu: int) -> None:
        """
        Be reachable inside, before any server is.

        :param inner: our inner addresses, and `networks` what they are of.
        :raises HostError: the machine refuses them.
        """
        self.inner = by_family(inner)
        self._overlaps.inner = tuple(networks)
        self._among = partial(self._set_up_among, mtu, tuple(networks))
        self._among()

    def _set_up_among(self, mtu: int, networks: tuple[str, ...]) -> None:
        out = self._config.mesh.exit if self.beyond.leads_out(self._config) else ""
        self.stub.exits.prove(self.beyond.peers.get(out, ()), lambda: self._follow(self._among))
        names = self.stub.exits.proven
        routes, wish = (("default",) if out else ()), Wish(names, bool(names))
        inside = (*networks, *self.beyond.through(self._config))
        network = ClientNetwork(self._tun, *self.inner, mtu, routes, wish, bool(routes), inside)
        if network != self._among_network:
            self._host.client_up(network)
            self._among_network = network

    def peers_are(self, names: Mapping[str, Sequence[str]]) -> None:
        """With these peers there is a session: some may be a way to networks, or to the world."""
        self.beyond.peers = {name: tuple(inner) for name, inner in names.items()}
        try:
            if self._welcome is not None:
                self.welcomed(self._welcome)
            else:
                self._among()
                self._lead_behind()
        except HostError as problem:
            self._tell("host-trouble", f"the host could not be configured: {problem}")

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> None:
        """These are there now."""
        self._uplinks = any(each.up for each in uplinks)
        self._follow(lambda: self._host.set_uplinks(uplinks))

    def networks_changed(self) -> None:
        """The uplinks are as they were, and other routes are not."""
        self._follow(self._host.keep_outside)

    def _follow(self, what: Callable[[], None]) -> None:
        if not self._config.tun:
            return
        try:
            what()
        except HostError as problem:
            self._tell("host-trouble", str(problem))
        self._overlaps.look(self._host.networks)
        if self._welcome is not None and self.beyond.said.reach:
            self.welcomed(self._welcome)  # what is reached here is not reached behind others, and the reverse
