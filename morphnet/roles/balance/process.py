"""A balancing client: what it opens, and how that is joined."""

from __future__ import annotations

import pwd
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from morphnet import __version__
from morphnet.config.balance import policy, weights_of
from morphnet.config.roles import ClientConfig
from morphnet.errors import ConfigError, HostError
from morphnet.host.balance import BalanceHost, Policy, Shares, received_bytes
from morphnet.host.uplinks import Uplink, UplinkScan, UplinkWatch
from morphnet.net.ondevice import OnDevice
from morphnet.net.probe import Listener, Pings, Prober, ping_socket
from morphnet.roles.balance.allowed import allowed
from morphnet.roles.balance.node import BalanceNode
from morphnet.roles.balance.standing import Standings
from morphnet.roles.balance.watching import Change, Watching
from morphnet.roles.process.process import HostProcess

MEASURE_EVERY = 1.0  # seconds between looks at what each uplink has received
LOOK_EVERY = 5.0  # seconds between looks for shares that are others now, and for uplinks that are one


class BalanceProcess(HostProcess):
    """A machine with uplinks, and nobody beside it."""

    def __init__(self, config: ClientConfig, reactor: Any, read: Callable[[], ClientConfig] | None = None) -> None:
        self._host: BalanceHost | None = None
        super().__init__(config, reactor, read)
        self.config = config
        self._uplinks: list[Uplink] = []
        self._policies: tuple[Policy, ...] = ()
        self._last = list(config.balance.last)  # uplinks to use only while no other leads out

    def make_host(self, journal: Path) -> BalanceHost:
        self._host = BalanceHost(journal)
        return self._host

    def open(self) -> BalanceNode:
        config = self.config
        assert self._host is not None  # made in __init__
        self._host.claim()
        self._policies = tuple(map(_policy, config.balance.policies))
        self._watching = watching = Watching(self.reactor, config.balance, self._door, self._changed)
        weights = weights_of(config.balance.weights)
        self._standings = Standings(watching, weights, self._last, self.reactor.seconds)
        self._node = node = BalanceNode(config, self._standings.statuses, self._seen_at, self.reloading)
        self._standings.dated = node.dated
        self.watch_host(node)
        scan = UplinkScan(config.uplinks, config.exclude)
        self._watch = UplinkWatch(self.reactor, self._uplinks_are, scan)
        self._watch.networks_changed = self._deal
        self._watch.start()
        self.every(MEASURE_EVERY, lambda: self._standings.measure(received_bytes()))
        self.every(LOOK_EVERY, self._look)
        self._log.info("morph-client has started to balance, morphnet {version}", version=__version__)
        return node

    def _door(self, device: str, family: int, listener: Listener) -> Prober:
        pings = None
        if "ping" in self.config.balance.methods:
            pings = Pings(self.reactor, family, listener, partial(ping_socket, device, family))
        prober = Prober(self.reactor, OnDevice(self.reactor, device), pings, family, listener)
        prober.tcp_port = self.config.balance.tcp_port
        return prober

    def _seen_at(self) -> list[dict[str, str]]:
        return [self._watching.seen_at(family) for family in (4, 6)]

    # -- what happens

    def _uplinks_are(self, uplinks: list[Uplink]) -> None:
        """The machine has these now, of which some may be to be left alone."""
        uplinks, self._last[:] = allowed(self.config, uplinks)
        self._uplinks = uplinks
        self._watching.uplinks_are(uplinks)
        self._deal()
        try:
            assert self._host is not None  # made in __init__
            self._node.counts["balance_resets"] += self._host.end_forgotten()
        except HostError as problem:
            self._log.warn("{problem}", problem=str(problem))

    def _changed(self, change: Change) -> None:
        """First new flows go elsewhere, then those of a dead uplink are ended: they begin anew elsewhere."""
        self._deal()
        self._node.counts["balance_changes"] += 1
        which = f"{change.device}, IPv{change.family}"
        if change.up:
            self._node.tell("uplink-up", "", f"{which}: leads out")
            return
        count = 0
        if change.was != "down":  # flows of before may be on one that was never up
            try:
                assert self._host is not None  # made in __init__
                count = self._host.end_flows(change.device, change.family)
            except HostError as problem:
                self._log.warn("{problem}", problem=str(problem))
        self._node.counts["balance_resets"] += count
        ended = f"; {count} connections of this machine are reset" if count else ""
        self._node.tell("uplink-down", "", f"{which}: {change.why}{ended}")

    def _deal(self) -> None:
        """Let the machine deal out new flows as it shall be now."""
        assert self._host is not None  # made in __init__
        parts = self._standings.shares()
        up = [frozenset(self._watching.up(family)) for family in (4, 6)]
        untried = [frozenset(self._watching.untried(family)) for family in (4, 6)]
        self._node.shares_are(parts)
        shares = Shares(parts[0], parts[1], up[0], up[1], untried[0], untried[1])
        try:
            self._host.balance(self._uplinks, shares, self._policies)
        except HostError as problem:
            self._log.warn("not changed: {problem}", problem=str(problem))
        self._node.left_out_are(self._host.left_out)

    def _look(self) -> None:
        self._node.look_at_addresses()
        if self._standings.changed() or self._other_rules():
            self._deal()

    def _other_rules(self) -> bool:
        """Whether somebody has added or removed rules that matter."""
        assert self._host is not None  # made in __init__
        try:
            return self._host.overruled() != self._host.left_out
        except HostError as problem:
            self._log.warn("{problem}", problem=str(problem))
            return False

    async def close(self) -> None:
        self._watch.stop()
        self._watching.stop()


def _policy(text: str) -> Policy:
    """:raises ConfigError: there is no such user."""
    pinned = policy(text)
    value = pinned.value
    if pinned.kind == "user":
        try:
            value = str(pwd.getpwnam(value).pw_uid)
        except KeyError:
            raise ConfigError(f"balance.policies: there is no user {value}") from None
    return Policy(f"{pinned.kind} {value}", pinned.uplink)
