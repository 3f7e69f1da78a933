"""A node and its uplinks: which there are, how each may be used, and who has to know."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from morphnet.config.roles import ClientConfig
from morphnet.host.uplinks import Uplink
from morphnet.net.ondevice import Source
from morphnet.net.pump import Pump
from morphnet.ops import verbs
from morphnet.ops.verb import Verb
from morphnet.roles.client.certified_node import Certificates
from morphnet.roles.client.meter import Meter, of_stream
from morphnet.roles.client.peered_node import PeeredNode
from morphnet.roles.client.policies import Policies
from morphnet.roles.client.streaming import Streaming
from morphnet.roles.client.uplink_history import Standing, UplinkHistory
from morphnet.roles.client.uplink_paths import UplinkPaths, sources_of
from morphnet.roles.signalling.control_client import Link
from morphnet.status import UplinkStatus
from morphnet.tunnel.events import Event, PathChanged
from morphnet.tunnel.path import Path, State
from morphnet.wire.messages.terms import MOST, PathTerms


class PolicedNode(PeeredNode):
    """What a client does with its uplinks, as its owner wants it."""

    def __init__(self, config: ClientConfig, pump: Pump, certificates: Certificates, policies: Policies) -> None:
        super().__init__(config, pump, certificates)
        self.policies, self.meter = policies, Meter(self._device_at)
        pump.watch_doors(self.meter)
        self.uplinks: list[Uplink] = []  # those that may be used
        self._there: list[Uplink] = []  # all of them
        self._uplink_history = UplinkHistory(config.uplinks, pump.now)
        self._never_since: dict[str, float] = {}
        self.has_terms = policies.any  # from the first policy on: only other terms take its terms back
        self._heeding: Link | None = None  # the control link, if the server heeds what it is told of paths
        self._told_terms: PathTerms | None = None  # that it was told last

    def by_ways(self, uplink_paths: UplinkPaths, streaming: Streaming | None) -> None:
        """What leads to the server is that."""
        self.uplink_paths, self.streaming = uplink_paths, streaming
        uplink_paths.settled = self.treat_paths

    def verbs(self) -> Sequence[Verb]:
        """What can be asked of it: of every node, about peers, and about uplinks."""
        return (*super().verbs(), *verbs.of_uplinks(self))

    # -- which there are ---------------------------------------------------------------------------------------------

    def allowed(self, uplinks: Sequence[Uplink]) -> list[Uplink]:
        """
        The machine has these uplinks now: those of them that are not to be left alone, which are kept as `uplinks`.
        """
        self._there = list(uplinks)
        never, now = {each.name for each in uplinks if self.policies.is_never(each.name)}, self.pump.now()
        self._never_since = {name: self._never_since.get(name, now) for name in never}
        if (names := self._uplink_history.uplinks_are(self._there)) is not None:
            self.tell("uplinks", "", f"uplinks: {', '.join(name for name in names if name not in never) or 'none'}")
        self.uplinks = [each for each in uplinks if each.name not in never]
        return self.uplinks

    def shunned(self) -> set[str]:
        """Addresses by which nothing may go."""
        never = [each for each in self._there if each.name in self._never_since]
        return {address for each in never for address in (*each.addresses4, *each.addresses6)}

    def _device_at(self, address: str) -> str:
        """The uplink that has that address."""
        return next((each.name for each in self._there if address in (*each.addresses4, *each.addresses6)), "")

    def sources(self) -> list[Source]:
        """The uplinks, those that are to be used first before others, once for each family: where to call from."""
        found = sources_of(self.uplinks)
        return sorted(found, key=lambda each: self.policies.use(each.device).level) if self.policies.any else found

    def stream_sources(self) -> list[Source]:
        """
        Of these, where a stream to the server may begin: not by an uplink that is to be used after one that works, nor
        after one that might work by TCP.
        """
        session, found = self._session(), self.sources()
        if not self.policies.any or session is None:
            return found
        levels = {each.device: self.policies.use(each.device).level for each in found}
        working = [path.terms.level for path in session.paths.values() if path.usable and not path.rank]
        first, least = min(levels.values(), default=0), min(working, default=float("inf"))
        return [each for each in found if levels[each.device] == first or levels[each.device] < least]

    def uplinks_are(self, uplinks: list[Uplink]) -> None:
        """The machine's uplinks changed, or which of them are to be left alone."""
        raise NotImplementedError

    def heard(self, event: Event) -> None:
        """A stream has terms, and is counted, from when it works."""
        super().heard(event)
        session = self._session()
        if session is None or not isinstance(event, PathChanged) or event.session != session.peer:
            return
        path = session.paths[event.path]
        if path.rank and event.now == State.ACTIVE:
            self.meter.attach(path.door, partial(self._device_of, path), of_stream(path))
            self.treat_paths()

    # -- how each may be used ----------------------------------------------------------------------------------------

    def use_uplink(self, name: str, use: str) -> str:
        """
        The operator wants an uplink used like this.

        :raises ConfigError: there is no such use.
        """
        answer = self.policies.say(name, use)
        self.policies_changed()
        return answer if any(each.name == name for each in self._there) else f"{answer}; there is no such uplink here"

    def police(self, config: ClientConfig, keys: Collection[str]) -> None:
        """Live by what these settings say of uplinks, if that has changed."""
        if "uplink_policies" in keys:
            self.policies.configure(config.policies())
            self.policies_changed()

    def policies_changed(self) -> None:
        """Live by what holds of each uplink now."""
        self.has_terms = self.has_terms or self.policies.any
        self.uplinks_are(self._there)
        self.treat_paths()

    def count_carried(self) -> None:
        """Count what each uplink has carried; called every second or so."""
        if self.policies.carried(self.meter.take()):
            self.policies_changed()

    def server_heeds(self, link: Link | None) -> None:
        """The server that heeds what it is told of paths is at that link; None: there is none, or it does not."""
        self._heeding, self._told_terms = link, None

    def treat_paths(self) -> None:
        """Use each path of the session with the server as its uplink may be used, and have the server do the same."""
        session = self._session()
        if session is None or not self.has_terms:
            return
        devices = {path.id: self._device_of(path) for path in session.paths.values() if path.state is not State.CLOSED}
        session.table.treat({path: self.policies.terms(device) for path, device in devices.items()})
        self.tunnel.poke(session, self.pump.now())
        told = [self.policies.told(path, device).text for path, device in devices.items()]
        terms = PathTerms(tuple(told[:MOST]))
        if self._heeding is not None and terms != self._told_terms:
            self._told_terms = terms
            self._heeding.send(terms)

    def _device_of(self, path: Path) -> str:
        device = self.streaming.device_of(path) if self.streaming is not None else ""
        return device or path.uplink

    # -- what ops sees -----------------------------------------------------------------------------------------------

    def uplink_statuses(self) -> tuple[UplinkStatus, ...]:
        """Those that are there, and what became of the others."""
        stream = self.streaming.idle() if self.streaming is not None else {}
        idle = {**self.uplink_paths.idle(), **stream}
        for name, since in self._never_since.items():
            idle[name] = Standing("never", since, self.policies.use(name).why or "as the settings say")
        shown = self.uplink_paths.ladders.shown(self._uplink_history.statuses(idle, self._statuses.dated))
        return tuple(map(self._with_use, shown))

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        unheeded = self.policies.any and self.link is not None and self._heeding is None
        old = "the server is one of before, which sends by all uplinks, backup and metered ones too"
        return (*super().warnings(), *self.policies.warnings(), *((old,) if unheeded else ()))

    def _with_use(self, uplink: UplinkStatus) -> UplinkStatus:
        use = self.policies.use(uplink.name)
        policy = use.policy
        count = self.policies.count(uplink.name, policy) if policy.cap else None
        return replace(
            uplink,
            use=use.kind,
            use_why=use.why,
            metered=use.metered,
            priority=policy.priority,
            cap_bytes=policy.cap,
            carried_bytes=count.octets if count is not None else 0,
            carried_since=count.begins if count is not None else "",
            rate_up=policy.rate_up,
            rate_down=policy.rate_down,
        )
