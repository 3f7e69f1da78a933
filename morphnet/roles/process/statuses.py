"""Sessions and their paths as `morphnet status` shows them, each value as it is when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from morphnet.net.pump import Pump
from morphnet.status import PathStatus, SessionStatus
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.session import Session
from morphnet.tunnel.totals import total_of
from morphnet.wire.batch import Endpoint
from morphnet.wire.shapes.shape import PLAIN

STEP = 0.5  # seconds by which a wall clock is set and not led


def shown_address(endpoint: Endpoint) -> str:
    """The peer's side of an endpoint as a person writes it."""
    if not endpoint.port:  # through a relay
        return endpoint.host
    return f"[{endpoint.host}]:{endpoint.port}" if ":" in endpoint.host else f"{endpoint.host}:{endpoint.port}"


class Role(Protocol):
    """What a role alone knows of its sessions."""

    def control_of(self, session: Session) -> tuple[str, str]:
        """("up" or "down", TLS group of the last handshake)."""
        ...

    def inner_of(self, session: Session) -> tuple[str, ...]:
        """Inner addresses of the client of this session."""
        ...

    def local_of(self, path: Path) -> str:
        """Our side of a path, for a person."""
        ...


class Statuses:
    """Of one process, which starts now."""

    def __init__(self, pump: Pump, wall: Callable[[], float], since: Mapping[str, float], role: Role) -> None:
        """
        :param wall: Unix seconds.
        :param since: session -> when it began, on the pump's clock.
        """
        self._pump, self._wall, self._since, self._role = pump, wall, since, role
        self._started_at = pump.now()
        self._ahead = wall() - pump.now()  # seconds, of the wall clock before the pump's

    @property
    def started_at(self) -> float:
        """When the process started, Unix seconds."""
        return self.dated(self._started_at)

    def dated(self, at: float) -> float:
        """A moment on the pump's clock in Unix seconds: always the same, until the wall clock is set."""
        ahead = self._wall() - self._pump.now()
        if abs(ahead - self._ahead) > STEP:
            self._ahead = ahead
        return at + self._ahead

    def sessions(self) -> tuple[SessionStatus, ...]:
        """All of them, now."""
        return tuple(self._session(session) for session in self._pump.tunnel.sessions.values())

    def _session(self, session: Session) -> SessionStatus:
        control, group = self._role.control_of(session)
        return SessionStatus(
            name=session.peer,
            session=session.name.hex(),
            since=self.dated(self._since.get(session.peer, self._started_at)),
            inner=self._role.inner_of(session),
            scheduler=session.outbound.scheduler.name,
            epoch=session.outbound.keys.epoch,
            control=control,
            group=group,
            paths=tuple(self._paths(session)),
            counters=dict(sorted(total_of(session).items())),
            levels={"queued_bytes": session.outbound.egress.bytes},
        )

    def _paths(self, session: Session) -> Iterable[PathStatus]:
        paths = [path for path in session.paths.values() if path.state is not State.CLOSED]
        total = sum(path.delivery.recent_bytes for path in paths) or 1.0
        for path in paths:
            yield PathStatus(
                path=path.id,
                uplink=path.uplink,
                local=self._role.local_of(path),
                seen_as=shown_address(path.seen_as) if path.seen_as else "",
                remote=shown_address(path.remote),
                state=path.state,
                since=self.dated(path.since),
                rtt=path.rtt.smoothed,
                jitter=path.rtt.jitter,
                loss=path.loss.rate(),
                rate=path.pacer.window.rate(self._pump.now()),
                mtu=path.mtu.proven + path.overhead,
                share=path.delivery.recent_bytes / total,
                sent_packets=path.delivery.sent_packets,
                sent_bytes=path.delivery.sent_bytes,
                received_packets=path.received.packets,
                received_bytes=path.received.bytes,
                resent_packets=path.delivery.resent_packets,
                shape=path.shape.name if path.shape is not None else PLAIN,
            )
