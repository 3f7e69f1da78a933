"""
What balancing changes on a machine, behind a few calls; all of it is in the journal of `Host`, and undone as that is.

Tables and rules as `morphnet.host.routes` has them, counted from its BASE:

    BASE           the default route of each family, with a next hop for each uplink that leads out: `host/multipath`
    BASE + 1 ..    one for each uplink: its own routes, and `throw` for what the machine reaches by another device

    BASE .. +2     sockets bound to an uplink leave by it, and what is marked with its table does; what
                   has come in by it also while it is dead
    BASE + 3       what has its address does; not while it is dead, or a flow of before would go on into nowhere
    LATE           whatever the machine has a route for but a default route -> main
    LATE + 1       lookup table BASE

What an earlier one of us left that was killed stands until it is known what shall be instead, and each uplink keeps its
table: flows lose their way for no moment. It is undone at once where there is nothing to balance any more.

The last two come behind the rules that others add after us. Where somebody has rules behind them already (a VPN that
was up first), the two are left out in that family: a VPN that takes everything still does. What is forwarded for others
goes by the main table's default route then; flows of this machine that would leave by an uplink are dealt out as ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from morphnet.errors import HostError
from morphnet.host.adopting import Ends, Ground, is_ours, numbers
from morphnet.host.bases import FIRST, STEP
from morphnet.host.conntrack import Flow, Flows
from morphnet.host.dealing import CAME_IN, DealingTable, pin
from morphnet.host.facts import MAIN, PROTOCOL, UNICAST, Facts
from morphnet.host.host import Host
from morphnet.host.journal import Change
from morphnet.host.kernel import Kernel, Missing
from morphnet.host.multipath import Multipath, hop
from morphnet.host.outside import Network
from morphnet.host.overruled import overruled
from morphnet.host.routes import UPLINK_LIMIT, Provider, has_ipv6, provider_changes, providers_at
from morphnet.host.routing import Route, Rule
from morphnet.host.sysctl import Sysctl
from morphnet.host.uplinks import Uplink

MADE = (Route, Rule, Sysctl, Multipath, DealingTable)  # kinds of change
_GROUP = "balance"  # of all of them
LATE = 32700  # before the main table's own rule, and before what others have put there: see `overruled`
_KEPT = "net/netfilter/nf_conntrack_tcp_timeout_established"  # seconds
_HASH_PORTS, _LOOSE = "1", "2"  # of the sysctls fib_multipath_hash_policy and rp_filter


@dataclass(frozen=True, slots=True)
class Policy:
    """Flows that leave by one uplink as long as it leads out."""

    what: str  # see `morphnet.host.dealing.pin`
    device: str


@dataclass(frozen=True, slots=True)
class Shares:
    """What each uplink gets of new flows, in parts; whoever is not named gets none, and is dead."""

    parts4: Mapping[str, int]
    parts6: Mapping[str, int]
    up4: frozenset[str] = frozenset()  # those that lead out, also where they get no new flows
    up6: frozenset[str] = frozenset()
    untried4: frozenset[str] = frozenset()  # of which nothing is known yet: what is on them stays
    untried6: frozenset[str] = frozenset()
    left_out: frozenset[int] = frozenset()  # families in which rules of others come first

    def of(self, family: int) -> Mapping[str, int]:
        """Of one family."""
        return self.parts4 if family == 4 else self.parts6

    def up(self, family: int) -> frozenset[str]:
        """Those that lead out, in one family."""
        return self.up4 if family == 4 else self.up6

    def kept(self, family: int) -> frozenset[str]:
        """Those that keep the flows that they have, in one family."""
        return self.up(family) | (self.untried4 if family == 4 else self.untried6)


class BalanceHost(Host):
    """This machine, whose flows are dealt out to its uplinks."""

    inherited: ClassVar[Mapping[str, str]] = dict.fromkeys((each.kind for each in MADE), _GROUP)

    def __init__(self, journal_path: Path) -> None:
        super().__init__(journal_path)
        self._flows = Flows()
        self._untracked = frozenset[Flow]()  # connections of before the start without a flow: nothing is known of them
        self._ground: Ground | None = None
        self._kept: dict[str, int] = {}  # the table that each uplink had in an earlier run, by name
        self._tables: dict[str, int] = {}  # of each uplink that there was, by name
        self.left_out = frozenset[int]()  # families without our late rules, since `balance`
        self._filters: dict[str, bool] = {}  # whether it had the strict reverse path filter, before us

    def claim(self) -> None:
        """
        Begin, with what an earlier run has dealt out, or with nothing dealt out.

        :raises HostError: the machine does not let us.
        """
        left = self._journal.standing
        dealt = [each for each in left if isinstance(each, DealingTable)]
        if not dealt:  # nothing, or what a tunnel has left
            self._journal.settle(_GROUP, [DealingTable((), (), (), ())])
            return
        for each in dealt:
            each.apply(self._kernel)
        self._kept = tables_of(left, self._base)
        self._slots.keep({name: table - self._base - 1 for name, table in self._kept.items()})
        self._filters = dict.fromkeys(loosened(left), True)

    def balance(self, uplinks: Sequence[Uplink], shares: Shares, policies: Sequence[Policy] = ()) -> None:
        """
        Deal out new flows so from now on; those that there are stay where they are. What fails is logged.

        :param uplinks: all of them, also the dead ones.
        :raises HostError: the kernel does not tell its routes, or the journal cannot be written.
        """
        facts, v6 = self._kernel.facts(), has_ipv6(self._kernel)
        placed = self._slots.assign(uplinks)
        providers = providers_at(placed, facts)
        self.left_out = self.overruled()
        own = {address for _, address in self._addresses()}
        self._ground = ground = ground_of(providers, facts, own, self.left_out, self._base)
        if providers and not self._tables:
            self._adopt(providers, ground)
        self._tables = tables(self._tables, {each.uplink.name: self._base + 1 + each.slot for each in providers})
        changes = self._settings([each.uplink.name for each in providers])
        changes += balance_changes(providers, facts, v6, replace(shares, left_out=self.left_out), self._base)
        changes.append(_table(providers, shares, policies, self._base))
        self._journal.settle(_GROUP, changes, lenient=True)

    def _adopt(self, providers: Sequence[Provider], ground: Ground) -> None:
        """Flows that are there stay where they are."""
        now = {each.uplink.name: self._base + 1 + each.slot for each in providers}
        right = {table for name, table in self._kept.items() if now.get(name) == table}

        def mark_of(ends: Ends, mark: int) -> int:
            if mark & ~CAME_IN in right or not is_ours(mark, self._base):
                return mark
            return ground.mark_of(ends)

        try:
            for family in (4, 6):
                self._flows.mark(family, mark_of)
            self._untracked = frozenset(self._without_flow(ground))
        except HostError as problem:
            self._log.warn("{problem}", problem=str(problem))

    def _settings(self, devices: Sequence[str]) -> list[Change]:
        """
        Flows are told apart by their ports; and an answer that comes by an uplink other than the one of the machine's
        own default route is no martian.
        """
        wanted = {f"net/ipv{family}/fib_multipath_hash_policy": _HASH_PORTS for family in (4, 6)}
        for each in devices:
            if each not in self._filters:
                values = [_value(self._kernel, f"net/ipv4/conf/{name}/rp_filter") for name in ("all", each)]
                self._filters[each] = max(values) == "1"
            if self._filters[each]:
                wanted[f"net/ipv4/conf/{each}/rp_filter"] = _LOOSE
        return [Sysctl(name, value) for name, value in wanted.items() if _value(self._kernel, name)]

    def overruled(self) -> frozenset[int]:
        """
        The families in which others have rules now that must come before ours.

        :raises HostError: the kernel does not tell its rules.
        """
        return overruled(self._kernel, _late(self._base))

    def end_flows(self, device: str, family: int) -> int:
        """
        Forget the flows of a dead uplink, and no others; answers with the number of connections of this machine's own
        that were reset. Call after `balance` without it.

        :raises HostError: the kernel refuses.
        """
        if device not in self._tables:
            return 0
        own = {address for _, address in self._addresses()}
        count = self._flows.reset(family, self._tables[device], own)
        self._flows.forget(family, self._tables[device])
        return count

    def end_forgotten(self) -> int:
        """
        Reset the connections of this machine to the world whose flow the kernel has forgotten, as it does when a device
        goes down; answers with their number. Call after `balance`, when uplinks are others now.

        :raises HostError: the kernel refuses.
        """
        if self._ground is None:
            return 0
        return self._flows.end(each for each in self._without_flow(self._ground) if each not in self._untracked)

    def _without_flow(self, ground: Ground) -> list[Flow]:
        """The connections of this machine to the world that have none."""
        kept = float(_value(self._kernel, _KEPT) or 0)
        return [each for family in (4, 6) for each in self._flows.untracked(family, ground.is_outside, kept)]

    def _addresses(self) -> list[tuple[str, str]]:
        """Each device with each of its addresses, without prefix lengths."""
        return [(device, address.partition("/")[0]) for device, address in self._kernel.all_addresses()]

    def down(self, *, handed_over: bool = False) -> None:
        """
        Undo everything. Flows that are on another uplink than that of the machine's own default route, or have another
        address outside than here, would only lose their way: those of this machine are reset, while their far ends can
        still be told.

        :param handed_over: the next of us starts at once; flows keep their way until then.
        """
        if handed_over:
            super().down(handed_over=True)
            return
        lost = list[tuple[str, int]]()
        try:
            lost = stranded(self._tables, self._kernel.facts())
            self._reset_stranded(lost)
        except HostError as problem:
            self._log.warn("{problem}", problem=str(problem))
        super().down()
        try:
            for device, family in lost:
                self._flows.forget(family, self._tables[device])
        except HostError as problem:
            self._log.warn("{problem}", problem=str(problem))

    def _reset_stranded(self, lost: Collection[tuple[str, int]]) -> None:
        addresses = self._addresses()
        for device, table in self._tables.items():
            for family in (4, 6):
                strange = {own for name, own in addresses if name != device or (device, family) in lost}
                self._flows.reset(family, table, strange)


def tables(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """The table of each uplink that there was, by name, unless another one has that table now."""
    return {name: number for name, number in before.items() if number not in now.values()} | dict(now)


def tables_of(changes: Iterable[Change], base: int) -> dict[str, int]:
    """The table of each uplink, by name, as the rules say that an earlier run has left."""
    rules = [each for each in changes if isinstance(each, Rule) and each.device]
    return {each.device: each.table for each in rules if base < each.table <= base + UPLINK_LIMIT}


def loosened(changes: Iterable[Change]) -> list[str]:
    """The devices whose reverse path filter an earlier run has made loose."""
    names = [each.name.split("/") for each in changes if isinstance(each, Sysctl)]
    return [each[3] for each in names if each[1:3] == ["ipv4", "conf"] and each[-1] == "rp_filter"]


def stranded(devices: Collection[str], facts: Facts) -> list[tuple[str, int]]:
    """Those of the devices, in each family, by which the machine's own default route does not lead."""
    own = default_devices(facts)
    return [(each, family) for family in (4, 6) for each in devices if each != own[family]]


def default_devices(facts: Facts) -> dict[int, str]:
    """By family, the device of the machine's own default route; "" where there is none."""
    names, found = {link.index: link.name for link in facts.links}, dict[int, str]()
    for family in (4, 6):
        ways = [each for each in facts.routes if each.is_way_out and each.table == MAIN and each.family == family]
        best = min(ways, key=lambda each: each.metric, default=None)
        found[family] = names.get(best.index, "") if best is not None else ""
    return found


def ground_of(
    providers: Sequence[Provider], facts: Facts, own: Collection[str], left_out: Collection[int], base: int
) -> Ground:
    """
    What tells by which uplink a flow goes that was there before.

    :param own: all addresses of this machine.
    :param left_out: families in which rules of others come first: its own default route tells nothing there.
    """
    marks = {each.uplink.name: base + 1 + each.slot for each in providers}
    ways = default_devices(facts)
    default = {family: marks[name] for family, name in ways.items() if name in marks and family not in left_out}
    return Ground(numbers(providers, base), own, [each.prefix for each in _networks(facts)], default)


def balance_changes(providers: Sequence[Provider], facts: Facts, v6: bool, shares: Shares, base: int) -> list[Change]:
    """Routes and rules."""
    changes: list[Change] = []
    elsewhere = _networks(facts)
    for each in provider_changes(providers, elsewhere, (), v6, base):
        if not (isinstance(each, Rule) and _is_dead(each, providers, shares, base)):
            changes.append(each)
        if isinstance(each, Rule) and each.mark:
            changes.append(replace(each, mark=each.mark | CAME_IN))
    late = _late(base)
    for family in (4, 6) if v6 else (4,):
        hops = [_hop(each, family, shares) for each in providers if _gets(each, family, shares)]
        if hops:
            changes.append(Multipath(family, base, tuple(sorted(hops))))
        if hops and family not in shares.left_out:
            changes += [Rule(family, late, MAIN, specific=True), Rule(family, late + 1, base)]
    return changes


def _late(base: int) -> int:
    """The preference of the first of the two late rules."""
    return LATE + 2 * ((base - FIRST) // STEP)


def _networks(facts: Facts) -> list[Network]:
    """Whatever the machine has a route for by itself, but for its default routes."""
    names = {link.index: link.name for link in facts.links}
    return [
        Network(each.prefix, names.get(each.index, ""), False)
        for each in facts.routes
        if each.prefix and each.table == MAIN and each.protocol != PROTOCOL and each.kind == UNICAST
    ]


def _is_dead(rule: Rule, providers: Sequence[Provider], shares: Shares, base: int) -> bool:
    """Whether that rule leads flows, and not sockets that are bound, to an uplink which leads nowhere."""
    if not rule.mark and not rule.source:
        return False
    names = {base + 1 + each.slot: each.uplink.name for each in providers}
    return names.get(rule.table, "") not in shares.kept(rule.family)


def _gets(provider: Provider, family: int, shares: Shares) -> bool:
    uplink = provider.uplink
    gateway = uplink.gateway4 if family == 4 else uplink.gateway6
    return uplink.up and gateway is not None and uplink.name in shares.of(family)


def _hop(provider: Provider, family: int, shares: Shares) -> str:
    uplink = provider.uplink
    gateway = uplink.gateway4 if family == 4 else uplink.gateway6
    return hop(uplink.name, shares.of(family)[uplink.name], gateway or "")


def _value(kernel: Kernel, name: str) -> str:
    try:
        return kernel.sysctl(name)
    except Missing:
        return ""


def _table(providers: Sequence[Provider], shares: Shares, policies: Sequence[Policy], base: int) -> DealingTable:
    there = [each for each in providers if each.uplink.up]
    marks = {each.uplink.name: base + 1 + each.slot for each in there}
    pins = [
        pin(marks[policy.device], family, policy.what)
        for policy in policies
        for family in (4, 6)
        if policy.device in marks and _fits(policy, family) and policy.device in shares.up(family)
    ]
    parts = [tuple(shares.of(family).get(name, 0) for name in marks) for family in (4, 6)]
    return DealingTable(tuple(marks), tuple(marks.values()), parts[0], parts[1], tuple(pins))


def _fits(policy: Policy, family: int) -> bool:
    kind, _, value = policy.what.partition(" ")
    return kind not in ("to", "from") or (":" in value) == (family == 6)


def received_bytes() -> dict[str, int]:
    """What the kernel has counted of each device since it is there."""
    found = dict[str, int]()
    for line in Path("/proc/net/dev").read_text().splitlines()[2:]:
        name, _, counts = line.partition(":")
        found[name.strip()] = int(counts.split()[0])
    return found
