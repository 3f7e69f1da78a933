"""All that morphnet changes on this machine, behind a few calls; `down`, or the next `recover`, takes it back."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from twisted.logger import Logger

from morphnet.errors import HostError
from morphnet.host.answers import AnswersTable, answer_changes
from morphnet.host.bases import Base
from morphnet.host.behind import BACK, Behind, BehindTable, behind_changes
from morphnet.host.dealing import DealingTable
from morphnet.host.dns import (
    RESOLV_CONF,
    ResolvConf,
    Resolvconf,
    Resolved,
    Wish,
    dns_changes,
    files_of,
    manner,
    nameservers,
    resolv_lines,
    upstream_servers,
)
from morphnet.host.facts import PROTOCOL
from morphnet.host.firewall import Obstacle, obstacles
from morphnet.host.hosts import HOSTS, HostsBlock, hosts_changes
from morphnet.host.journal import Change, Journal, Mended
from morphnet.host.kernel import Kernel
from morphnet.host.linux import LinuxKernel
from morphnet.host.multipath import Multipath
from morphnet.host.nat import Forwarding, NftTable, gateway_changes, only_inside
from morphnet.host.outside import Network, elsewhere, outside, within
from morphnet.host.passing import Passing, passing_behind, passing_of_gateway
from morphnet.host.phone_policy import PhonePolicy
from morphnet.host.routes import (
    Address,
    LinkUp,
    Slots,
    around_tunnel,
    check_routes,
    family_of,
    has_ipv6,
    into_tunnel,
    only_inner,
    provider_changes,
    providers_at,
    routed,
    tun_changes,
)
from morphnet.host.routing import Route, Rule
from morphnet.host.strict import StrictTable, own_networks
from morphnet.host.syncedfile import SyncedFile
from morphnet.host.sysctl import Sysctl
from morphnet.host.uplinks import Uplink, providers_of
from morphnet.host.wireguard import WireGuardLink

_ALL: tuple[type[Change], ...] = (
    Address,
    LinkUp,
    Route,
    Rule,
    Sysctl,
    Forwarding,
    NftTable,
    AnswersTable,
    StrictTable,
    BehindTable,
    Resolved,
    Resolvconf,
    ResolvConf,
    HostsBlock,
    Multipath,
    DealingTable,
    WireGuardLink,
    PhonePolicy,
)
IPV6_LEAST_MTU = 1280  # bytes, RFC 8200 section 5: the kernel takes IPv6 from a device with less
KINDS: dict[str, type[Change]] = {each.kind: each for each in _ALL}


ASK_NOBODY = Wish()


@dataclass(frozen=True, slots=True)
class ClientNetwork:
    """What a client's machine shall look like while its session is up."""

    tun: str
    inner4: str  # "10.73.0.2"; it stands for itself alone, whatever network it is of; "" for none
    inner6: str
    mtu: int  # of the TUN, bytes
    routes: tuple[str, ...] = ("default",)  # see `morphnet.host.routes`
    dns: Wish = ASK_NOBODY  # who is asked for names
    mss_clamp: bool = True
    inside: tuple[str, ...] = ()  # inner networks and addresses that are reached through the TUN besides
    local: bool = True  # the local network is reached without the tunnel
    carries: bool = True  # a path works; else only what has an inner address at either end goes into the tunnel


@dataclass(frozen=True, slots=True)
class ServerNetwork:
    """What a server's machine shall look like."""

    tun: str
    inner4: str  # with the prefix length of the pool; "" for none
    inner6: str
    mtu: int  # of the TUN, bytes
    pool4: str  # in CIDR notation; "" for none
    pool6: str
    nat: bool = True
    reachable_from: tuple[str, ...] = ()  # networks outside that may open connections to the pools
    behind: tuple[str, ...] = ()  # networks behind clients
    forwards: tuple[str, ...] = ()  # ports that lead to clients, see `morphnet.host.nat`
    beside: tuple[str, ...] = ()  # other devices by which clients come


def this_world() -> str:
    """Names this boot of the machine and this network namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.stat('/proc/self/ns/net').st_ino}"


class Host:
    """
    This machine.

    :param journal_path: where changes are written down; one per service.
    """

    inherited: ClassVar[Mapping[str, str]] = {}  # kinds of change that `recover` keeps, and the group of each
    _log = Logger()

    def __init__(self, journal_path: Path) -> None:
        self._linux, self._file = LinuxKernel(), SyncedFile(journal_path)
        self._kernel: Kernel = self._linux
        self._journal = Journal(self._file, self._kernel, KINDS, this_world())
        self._claim: Base | None = None
        self._slots = Slots()
        self._network: ClientNetwork | None = None  # as it was brought up last
        self._inner: list[str] = []  # its addresses, as far as this machine can have them
        self.families: frozenset[int] = frozenset()  # 4 and 6: those that a server has inside, as far as it can
        self._unguarded: tuple[str, ...] = ()  # devices that have an inner address as well
        self._strict: StrictTable | None = None  # the kill switch, if one is wanted
        self._uplinks: tuple[str, ...] = ()  # in use, the best first
        self.networks: list[Network] = []  # that are reached without the tunnel
        self._behind: tuple[str, ...] = ()  # networks that are reached through this client
        self._passing: tuple[Passing, ...] = ()  # what is forwarded here besides, that a firewall may stop
        self._left = {*self.inherited, StrictTable.kind}  # kinds that the next of us takes over, if it comes at once

    def recover(self, *, gateway: bool = False, strict: bool = False) -> int:
        """
        Undo what an earlier run left behind, if it was killed; answers with the number of changes.

        :param gateway: the nftables table is not undone; `server_up` replaces it in one step. While it were away, what
            comes for a client's connection would be taken for our own, and a TCP reset be the answer.
        :param strict: nor is the kill switch; `shut` replaces it.
        :raises HostError: another process has the journal.
        """
        inherit = dict(self.inherited)
        inherit |= {NftTable.kind: "tunnel"} if gateway else {}
        inherit |= {StrictTable.kind: "strict"} if strict else {}
        self._left |= inherit.keys()
        count = self._journal.undo_leftovers(inherit)
        if count:
            self._log.info("undid {count} changes of an earlier run", count=count)
        return count

    def shut(self, table: StrictTable) -> None:
        """
        Let nothing of what is to go through the tunnel leave in another way, from now until `down`.

        :raises HostError: the machine refused.
        """
        self._strict = table
        self._journal.settle("strict", [table])

    def open_again(self) -> None:
        """The operator wants no kill switch any more."""
        self._strict = None
        self._journal.settle("strict", [])

    def client_up(self, network: ClientNetwork) -> None:
        """
        Bring up the TUN (which must exist), and send traffic into it. Call again when anything about it differs.

        :raises HostError: the machine refused; it is as before this call then, except DNS, which may fail alone.
        """
        check_routes(network.routes)
        inner = [each.partition("/")[0] for each in self._usable(network)]
        families = {6 if ":" in each else 4 for each in inner}
        changes = tun_changes(network.tun, network.mtu, inner, has_ipv6(self._kernel, network.tun), self._base)
        into = (*network.routes, *network.inside)
        servers = nameservers(resolv_lines(network.dns.servers))
        into = (*into, *routed(servers, into))  # also where a local network has their addresses
        changes += into_tunnel(network.tun, into, families, has_ipv6(self._kernel), self._base)
        if not network.carries:
            changes = only_inner(changes, inner, network.inside, self._base)
        before = self._network, self._inner
        self._network = network
        try:
            self._inner = inner
            self._journal.settle("guard", self._guard(network))
            self.keep_outside()
            self._journal.settle("tunnel", changes)
        except HostError:
            self._network, self._inner = before
            if self._network is None:
                self._journal.undo_group("guard")
            else:
                self._journal.settle("guard", self._guard(self._network), lenient=True)
            raise
        dns = dns_changes(self._kernel, network.tun, network.dns if network.carries else ASK_NOBODY)
        self._journal.settle("dns", dns, lenient=True)

    def server_up(self, network: ServerNetwork) -> None:
        """
        Bring up the TUN (which must exist), and with `nat` make this machine a gateway.

        :raises HostError: the machine refused; it is as before this call then.
        """
        inner = self._usable(network)
        pools = [each for each in (network.pool4, network.pool6) if each]
        v6 = has_ipv6(self._kernel, network.tun)
        families = set(map(family_of, inner))
        self.families = frozenset(families)
        behind = tuple(each for each in network.behind if family_of(each) in families)
        changes = tun_changes(network.tun, network.mtu, inner, v6, self._base)
        changes += into_tunnel(network.tun, behind, families, v6, self._base)
        table = NftTable(
            network.tun,
            tuple(pools),
            network.nat,
            own=self._only_inside(network.tun, [each.partition("/")[0] for each in inner]),
            inside=self._only_inside(network.tun, [*pools, *behind]),
            reachable_from=network.reachable_from,
            behind=behind,
            forwards=network.forwards,
            beside=network.beside,
        )
        changes += gateway_changes(self._kernel, table)
        self._journal.settle("tunnel", changes)
        self._passing = passing_of_gateway(network.tun, network.forwards)

    def behind_are(self, behind: Behind) -> None:
        """
        Let these networks be reached through this client, and answers to what comes out of the tunnel go back by it.

        :raises HostError: the machine refused; nothing of this call is left then.
        """
        tun = self._network.tun if self._network is not None else ""
        self._behind, self._passing = behind.networks, passing_behind(tun, behind.networks)
        changes: list[Change] = []
        if tun and behind != Behind(routed=behind.routed):
            table = BehindTable(tun, self._base + BACK, behind.networks, behind.routed, behind.exits)
            changes = behind_changes(self._kernel, table, self._inner, self._base)
        self._journal.settle("behind", changes)
        self.keep_outside()  # what is forwarded is answered where it came in, and a network led to is reached here

    def elsewhere(self, tun: str) -> list[Network]:
        """
        The networks that this machine reaches by other devices than the TUN, those beyond a way out not among them.

        :raises HostError: the kernel does not tell.
        """
        return elsewhere(self._kernel.facts(), tun, self._base)

    def set_uplinks(self, uplinks: Sequence[Uplink]) -> None:
        """
        Keep the traffic of each uplink on it, and of every other device that leads out. Call whenever `UplinkWatch`
        tells; what fails (an uplink that is gone already) is logged and passed over.

        :param uplinks: the best first.
        """
        self._uplinks = tuple(each.name for each in uplinks)
        self.keep_outside()

    def keep_outside(self) -> None:
        """
        Look at the machine's devices and routes, and keep what belongs to them out of the tunnel. Call when a route has
        come or gone.

        :raises HostError: the kernel does not tell them.
        """
        facts, v6, network = self._kernel.facts(), has_ipv6(self._kernel), self._network
        ours = {each.device for each in self._journal.standing if isinstance(each, LinkUp)}
        ours |= {network.tun} if network is not None else set()
        found = outside(facts, self._uplinks, self._base, ours)
        near = {each for each in found if each.local and within(each.prefix, self._behind)}  # led to: no longer strange
        allowed = network is None or network.local
        self.networks = [each for each in found if allowed or each in near or not each.local]
        own = own_networks(replace(each, local=each.local and each not in near) for each in found)
        if self._strict is not None and self._strict.own != own:
            self._strict = replace(self._strict, own=own)
            self._journal.settle("strict", [self._strict], lenient=True)
        placed = self._slots.assign(providers_of(facts, self._uplinks, ours))
        providers = providers_at(placed, facts)
        changes = provider_changes(providers, self.networks, self._inner, v6, self._base)
        if network is not None:
            changes += answer_changes(self._kernel, network.tun, providers, self._inner, self._base)
            self._journal.settle(
                "guard", self._guard(network), lenient=True
            )  # an uplink may have our inner address now
        self._journal.settle("uplinks", changes, lenient=True)
        into = (*network.routes, *network.inside) if network is not None else ()
        self._journal.settle("outside", around_tunnel(self.networks, into, v6, self._base), lenient=True)

    def name_peers(self, names: Mapping[str, Sequence[str]], taken: Collection[str] = ()) -> None:
        """
        Let this machine know these names, in the place of those of the last call; what fails is logged.

        :param names: inner addresses by the name of each peer.
        :param taken: names that are no peer's, besides that of this machine.
        :raises HostError: the journal, or the file of names, cannot be read or written.
        """
        this = os.uname().nodename
        changes = hosts_changes(names, (*taken, this, this.partition(".")[0]))
        self._journal.settle("names", changes, lenient=True)

    def mend(self, spare: Callable[[Change], bool] = lambda change: False) -> list[Mended]:
        """Make again what somebody else took away, see `Journal.mend`."""
        return self._journal.mend(spare)

    def watched_files(self) -> set[str]:
        """The files in which somebody could undo what we have changed, or will change."""
        standing = self._journal.standing
        return (
            {RESOLV_CONF, HOSTS} | files_of(standing) | {each.path for each in standing if isinstance(each, HostsBlock)}
        )

    def obstacles(self, tun: str, pools: Sequence[str]) -> list[Obstacle]:
        """
        What in this machine's firewall drops what is forwarded for the pools.

        :raises HostError: the kernel does not tell.
        """
        return obstacles(self._kernel, tun, pools, self._passing)

    def asks_by(self) -> str:
        """What names are asked by on this machine, see `morphnet.host.dns`."""
        return manner(self._kernel)

    def upstream_dns(self) -> list[str]:
        """The DNS servers that the machine had without us."""
        return upstream_servers(self._kernel, self._journal.standing)

    def down(self, *, handed_over: bool = False) -> None:
        """
        Undo everything, and let go of the journal. Call before the TUN is closed; this Host is done then.

        :param handed_over: the next of us starts at once. What `recover` inherits stays until then: no connection is
            reset meanwhile, and nothing leaves past a kill switch.
        """
        try:
            self._journal.undo_all(self._left if handed_over else ())
        finally:
            self._file.close()
            if self._claim is not None:
                self._claim.let_go()

    @property
    def _base(self) -> int:
        """Our first routing table and rule preference, see `morphnet.host.routes`."""
        if self._claim is None:
            used = {each.table for each in self._kernel.facts().routes if each.protocol == PROTOCOL}
            mine = {each.table for each in self._journal.standing if isinstance(each, Route)}
            self._claim = Base(used, mine=mine)
        return self._claim.number

    def _guard(self, network: ClientNetwork) -> list[Change]:
        own, clamp = self._only_inside(network.tun, self._inner), network.mss_clamp
        return [NftTable(network.tun, mss_clamp=clamp, own=own, inside=own)] if own or clamp else []

    def _only_inside(self, tun: str, networks: Sequence[str]) -> tuple[str, ...]:
        """Those that are to be guarded against what comes by other devices."""
        free, devices = only_inside(self._kernel, tun, networks)
        before, self._unguarded = self._unguarded, tuple(devices)
        if devices and self._unguarded != before:
            self._log.warn(
                "not guarded against neighbours: {devices} has an address in {networks} as well; take another network",
                devices=", ".join(devices),
                networks=", ".join(each for each in networks if each not in free),
            )
        return free

    def _usable(self, network: ClientNetwork | ServerNetwork) -> list[str]:
        """The inner addresses that this machine can have."""
        inner6 = network.inner6
        if inner6 and (network.mtu < IPV6_LEAST_MTU or not has_ipv6(self._kernel, network.tun)):
            why = "IPv6 is turned off on this machine" if network.mtu >= IPV6_LEAST_MTU else "its MTU is below 1280"
            self._log.warn("{device} carries IPv4 only: {reason}", device=network.tun, reason=why)
            inner6 = ""
        return [each for each in (network.inner4, inner6) if each]
