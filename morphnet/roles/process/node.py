"""What both roles show and let be touched: the facade that `ops` is given."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence

from morphnet import __version__, compiled
from morphnet.config.roles import SCHEDULERS
from morphnet.errors import ConfigError
from morphnet.net.pump import Pump
from morphnet.ops import verbs
from morphnet.ops.eventlog import EventLog
from morphnet.ops.headline import with_headline
from morphnet.ops.history import History
from morphnet.ops.verb import Verb
from morphnet.policystatus import PolicyStatus
from morphnet.roles.certificates.renewal import Renewal
from morphnet.roles.process.access import Access
from morphnet.roles.process.statuses import Statuses, shown_address
from morphnet.status import (
    CarryStatus,
    Happening,
    LegacyStatus,
    NetworkStatus,
    NodeStatus,
    PeerStatus,
    PhoneStatus,
    RelayStatus,
    UplinkStatus,
    by_kind,
)
from morphnet.tunnel.events import Effects, Event, Forgotten, Overrun, PathChanged, PathMoved, Rekeyed
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.core import CORE

__all__ = ["Node", "shown_address"]


_STATES = {
    State.PROBING: "is tried",
    State.ACTIVE: "works",
    State.STANDBY: "loses too much: it is used when nothing else works",
    State.SILENT: "is lost: nothing comes back",
    State.CLOSED: "is closed",
}


def _words(event: PathChanged) -> str:
    """What a path does now."""
    again = event.now == State.ACTIVE and event.was in (State.SILENT, State.STANDBY)
    return f"{_STATES[State(event.now)]}{' again' if again else ''}"


def open_paths(session: Session, called: int | str) -> list[Path]:
    """Those paths of a session that are not closed and have that number, or that uplink."""
    return [
        path for path in session.paths.values() if called in (path.id, path.uplink) and path.state is not State.CLOSED
    ]


class Node:
    """A running process as `ops` sees it; the two roles add what they alone know."""

    role = ""
    sections: tuple[str, ...] = ("sessions",)  # as in NodeStatus

    def __init__(self, name: str, pump: Pump, wall: Callable[[], float] = time.time) -> None:
        self.name = name
        self.pump = pump
        self.tunnel: Tunnel = pump.tunnel
        self.history = History(wall, said=EventLog(pump.now).say)
        self.renewal: Renewal | None = None  # of our certificate
        self.access: Access | None = None  # the network's policy, where there can be one
        self.state = "starting"
        self._wall = wall
        self._since: dict[str, float] = {}  # session -> when it began, on the pump's clock
        self._statuses = Statuses(pump, wall, self._since, self)
        self.host_warnings: Callable[[], tuple[str, ...]] = tuple  # about this machine
        pump.follow(self.heard)

    # -- seeing ------------------------------------------------------------------------------------------------------

    def status(self) -> NodeStatus:
        """The whole node, now; its sessions and their paths as `statuses` has them."""
        counted = self.door_counters()
        counted.update(self.tunnel.counts)
        counted.update(self.access.counters() if self.access is not None else {})
        counters, levels = by_kind(counted)
        picture = NodeStatus(
            role=self.role,
            name=self.name,
            version=__version__,
            pid=os.getpid(),
            started_at=self._statuses.started_at,
            core=CORE.name + (", data plane by mypyc" if compiled.IN_USE else ""),
            offloads=self.offloads(),
            listening=self.listening(),
            state=self.state,
            sessions=self._statuses.sessions(),
            counters=counters,
            levels=levels,
            totals=dict(sorted(self.tunnel.totals().items())),
            peers=self.peer_statuses(),
            relays=self.relay_statuses(),
            warnings=self.warnings(),
            traffic=self.traffic_goes(),
            uplinks=self.uplink_statuses(),
            legacy=self.legacy_statuses(),
            sections=self.sections,
            carries=self.carry_statuses(),
            networks=self.network_statuses(),
            policy=self.policy_status(),
            phones=self.phone_statuses(),
        )
        return with_headline(picture)

    def policy_status(self) -> PolicyStatus | None:
        """The network's, where it holds."""
        return self.access.status() if self.access is not None else None

    def traffic_goes(self) -> str:
        """Where that goes which is to go through a tunnel, as NodeStatus has it."""
        return ""

    def offloads(self) -> tuple[str, ...]:
        """What the kernel gave us."""
        return ()

    def peer_statuses(self) -> tuple[PeerStatus, ...]:
        """The other machines of the network."""
        return ()

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to, one sentence each."""
        ours = self.renewal.warnings if self.renewal is not None else ()
        policy = self.access.warnings() if self.access is not None else ()
        return (*ours, *policy, *self.host_warnings())

    def uplink_statuses(self) -> tuple[UplinkStatus, ...]:
        """The ways out of this machine."""
        return ()

    def legacy_statuses(self) -> tuple[LegacyStatus, ...]:
        """Clients of the original."""
        return ()

    def carry_statuses(self) -> tuple[CarryStatus, ...]:
        """UDP of other programs."""
        return ()

    def network_statuses(self) -> tuple[NetworkStatus, ...]:
        """Networks behind clients."""
        return ()

    def phone_statuses(self) -> tuple[PhoneStatus, ...]:
        """Who comes by WireGuard."""
        return ()

    def relay_statuses(self) -> tuple[RelayStatus, ...]:
        """Where they are met."""
        return ()

    def listening(self) -> tuple[str, ...]:
        """Addresses served on."""
        return ()

    def door_counters(self) -> Counter[str]:
        """Sums over the doors."""
        return self.pump.counters()

    def control_of(self, session: Session) -> tuple[str, str]:
        """("up" or "down", TLS group of the last handshake)."""
        return "down", ""

    def inner_of(self, session: Session) -> tuple[str, ...]:
        """Inner addresses of the client of this session."""
        return ()

    def local_of(self, path: Path) -> str:
        """Our side of a path, for a person."""
        return path.remote.local

    def happenings(self, after: int) -> list[Happening]:
        """What happened since number `after`."""
        return self.history.after(after)

    def tell(self, kind: str, session: str, text: str) -> None:
        """Add one line to the history."""
        self.history.add(kind, session, text)

    def heard(self, event: Event) -> None:
        """An event of the data plane, in words."""
        match event:
            case PathChanged():
                way = f"path {event.path}" + (f" ({event.uplink})" if event.uplink else "")
                what = "packet is" if event.resent == 1 else "packets are"
                more = f"; {event.resent} {what} sent again by another way" if event.resent else ""
                self.tell(f"path-{event.now}", event.session, f"{way} {_words(event)}{more}")
            case PathMoved():
                self.tell("path-moved", event.session, f"path {event.path} continues from another address")
            case Rekeyed():
                self.tell("rekeyed", event.session, f"the peer uses key epoch {event.epoch}")
            case Forgotten():
                self.tell("keys-forgotten", event.session, "its keys are too old: a new handshake is needed")
                self.hang_up(event.session, "keys are too old")
            case Overrun():
                self.tell("session-gone", event.session, f"closed: {event.forged} forged packets")
                self.hang_up(event.session, "too many forged packets")  # or the client would use dropped ids

    # -- touching ----------------------------------------------------------------------------------------------------

    def verbs(self) -> Sequence[Verb]:
        """What can be asked of it."""
        return verbs.of_sessions(self)

    def sessions_named(self, name: str) -> list[Session]:
        """
        The session called `name`, or all for "".

        :raises ConfigError: there is none.
        """
        if not name:
            return list(self.tunnel.sessions.values())
        session = self.tunnel.sessions.get(name)
        if session is None:
            known = ", ".join(sorted(self.tunnel.sessions)) or "none"
            raise ConfigError(f"there is no session {name!r}; sessions are: {known}")
        return [session]

    def set_scheduler(self, name: str, session: str = "") -> str:
        """Spread what this end sends in another way; the role passes it on to the peer."""
        if name not in SCHEDULERS:
            raise ConfigError(f"there is no scheduler {name!r}; choose one of {', '.join(SCHEDULERS)}")
        chosen = self.sessions_named(session)
        for each in chosen:
            each.set_scheduler(name)
            self.tell("scheduler", each.peer, f"scheduler is {name}")
        return f"{len(chosen)} session(s) use {name}"

    def cut_path(self, path: int | str, session: str = "") -> str:
        """Close a path, called by its number or its uplink, as if that had gone."""
        done, effects = 0, Effects()
        for each in self.sessions_named(session):
            for open_one in open_paths(each, path):
                each.close_path(open_one.id, self.pump.now(), effects)
                done += 1
        self.pump.carry_out(effects)
        if not done:
            raise ConfigError(f"no session has an open path {path}")
        return f"path {path} is closed"

    def restore_path(self, path: int | str, session: str = "") -> str:
        """Open a path again that `cut_path` closed."""
        raise ConfigError("paths are opened by the client: ask there")

    def rekey(self, session: str = "") -> str:
        """New sending keys now."""
        chosen = self.sessions_named(session)
        for each in chosen:
            each.rekey(self.pump.now())
        return f"{len(chosen)} session(s) use a new key"

    def drop_session(self, session: str) -> str:
        """Forget a session; its client will connect again."""
        (chosen,) = self.sessions_named(session)
        self.tunnel.drop_session(chosen.peer)
        self.tell("session-gone", chosen.peer, "dropped by the operator")
        self.hang_up(chosen.peer, "dropped by the operator")
        return f"session {session} is dropped"

    def hang_up(self, session: str, reason: str) -> None:
        """End the control link of a session that was closed: a new session begins with a new link."""

    def trace(self, session: str, seconds: float, sink: Callable[[str], None]) -> Callable[[], None]:
        """One line per datagram or run of session `session`, for `seconds`; call what is returned to stop sooner."""
        ends_at = self.pump.now() + seconds
        (chosen,) = self.sessions_named(session or next(iter(self.tunnel.sessions), ""))

        def line(text: str) -> None:
            if self.pump.now() > ends_at:
                self.pump.trace(chosen, None)
            else:
                sink(text)

        def stop() -> None:
            self.pump.trace(chosen, None)

        self.pump.trace(chosen, line)
        return stop

    def reload(self) -> str:
        """Read again what may have changed on disk."""
        return "nothing to reload"
