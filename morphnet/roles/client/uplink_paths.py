"""
The client's paths over its uplinks: one socket and one path for each, kept in step with what the machine has; and more
than one where it is being found out which shape gets through, see `ladders`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from twisted.internet.interfaces import IReactorFDSet

from morphnet.errors import HostError
from morphnet.host.uplinks import Uplink
from morphnet.net.ondevice import Source, source_towards
from morphnet.net.pump import Pump
from morphnet.net.udp import UdpDoor
from morphnet.rendezvous.ladder import Seen
from morphnet.roles.client.ladders import Ladders, Rung
from morphnet.roles.client.uplink_history import Standing
from morphnet.tunnel.carrier import DIRECT, PLAIN, Carrier
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.session import Session
from morphnet.wire.batch import Departure, Endpoint
from morphnet.wire.candidates import is_reachable

SEEK_AFTER = 3.0  # seconds
MOST_SERVER_HOSTS = 8


def plain_paths(session: Session) -> list[Path]:
    """Those over an uplink by UDP, but for closed ones."""
    return [path for path in session.paths.values() if path.rank == DIRECT and path.state is not State.CLOSED]


def first_level(paths: list[Path]) -> list[Path]:
    """Those by the uplinks that are to be used first, whether they work or not."""
    least = min((path.terms.level for path in paths), default=0)
    return [path for path in paths if path.terms.level == least]


@dataclass(slots=True)
class _UplinkPath:
    """An uplink in use."""

    source: str  # our address on it
    door: UdpDoor
    path: int  # path id
    began: int = 0  # bytes that had gone by that path before, both ways


class UplinkPaths:
    """
    Opens a socket and a path for each uplink, moves them when its address changes, closes them when it goes.

    :param tell: (kind, sentence) for the node's history.
    :param source: the address that a device would send from to a host, see `source_towards`.
    :param door: makes a socket.
    :param ladders: which paths each uplink has; without them, one.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        pump: Pump,
        tell: Callable[[str, str], None],
        source: Callable[[str, str], str] = source_towards,
        door: type[UdpDoor] = UdpDoor,
        ladders: Ladders | None = None,
    ) -> None:
        self._reactor, self._pump, self._tell, self._source, self._door = reactor, pump, tell, source, door
        self.ladders = ladders or Ladders(pump.now if pump is not None else float, tell)
        self._paths: dict[Rung, _UplinkPath] = {}
        self._uplinks: list[Uplink] = []
        self._servers: tuple[Endpoint, ...] = ()  # addresses of the server's data plane, best first
        self._cut: dict[str, tuple[int, float]] = {}  # what the operator does not want now: its path then, and when
        self._unused: dict[str, Standing] = {}  # uplinks that are there, and why they have no path
        self._mute: dict[str, set[str]] = {}  # by uplink: addresses of the server that never answered there
        self.session: Session | None = None
        self.settled: Callable[[], None] = lambda: None  # called when paths were opened or closed

    def offloads(self) -> tuple[str, ...]:
        """What the kernel gave the sockets."""
        return next((way.door.offloads() for way in self._paths.values()), ())

    def local_of(self, path: Path) -> str:
        """Our address and port on a path, for a person."""
        way = next((way for way in self._paths.values() if way.path == path.id), None)
        if way is None:
            return ""
        host, port = way.door.local[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def idle(self) -> dict[str, Standing]:
        """The uplinks that are there and not used, and why."""
        cut = {
            name: Standing("cut", at, f"by the operator, until `restore('{name}')`")
            for name, (_, at) in self._cut.items()
        }
        return {**self._unused, **cut}

    # -- what changes --------------------------------------------------------------------------------------------------

    def serve(self, session: Session, servers: Sequence[Endpoint]) -> None:
        """Carry `session` to the server at these addresses; the same session again moves to new ones."""
        if session is not self.session:
            self.close()
            self.session = session
        if set(servers) != set(self._servers):
            self._mute.clear()
        self._servers = tuple(servers)
        self._settle()

    def seek(self) -> None:
        """
        Have each path that nothing came back on, for SEEK_AFTER from its beginning, go to another address of the
        server: there may be no way by that uplink to the one that the control link has found. Each is tried once, until
        the uplink or the server's addresses change.
        """
        session, now = self.session, self._pump.now()
        ways = [(rung.uplink, session.paths.get(way.path)) for rung, way in self._paths.items()] if session else []
        working = {name for name, path in ways if path and path.state in (State.ACTIVE, State.STANDBY)}
        for name, path in ways:
            if (
                path
                and name not in working
                and path.state is State.PROBING
                and now - max(path.since, path.moved_at) >= SEEK_AFTER
            ):
                self._mute.setdefault(name, set()).add(path.remote.host)
        if self._mute:
            self._settle()

    def climb(self) -> None:
        """See which shapes get through, and have the sockets that follow from it; called several times a second."""
        session = self.session
        if session is None or self._pump.tunnel.sessions.get(session.peer) is not session:
            return
        seen = dict[Rung, Seen]()
        for rung, way in self._paths.items():
            path = session.paths[way.path]
            carried = path.delivery.sent_bytes + path.received.bytes - way.began
            seen[rung] = Seen(path.usable, path.since, carried)
        otherwise = any(path.usable and path.rank != DIRECT for path in session.paths.values())
        if self.ladders.look(seen, otherwise=otherwise):
            self._settle()

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> None:
        """The machine has these uplinks now."""
        self.ladders.uplinks_are(uplinks)
        for uplink in set(self._uplinks) ^ set(uplinks):
            self._mute.pop(uplink.name, None)
        self._uplinks = list(uplinks)
        self._settle()

    def cut(self, path_id: int) -> None:
        """The operator wants the uplink of this path left alone."""
        for (name, _, _), way in self._paths.items():
            if way.path == path_id:
                self._cut.pop(name, None)
                self._cut[name] = path_id, self._pump.now()
        self._settle()

    def is_cut(self, uplink: str) -> bool:
        """Whether the operator wants it left alone."""
        return uplink in self._cut

    def restore(self, called: int | str) -> bool:
        """
        The operator wants it back; False when it was not cut.

        :param called: the uplink, or the number that its path had then: the uplink may have gone and come back since,
            and the session may be another one. Of two of that number it is the one that was cut last.
        """
        name = next((name for name, (number, _) in reversed(self._cut.items()) if called in (name, number)), None)
        if name is None:
            return False
        del self._cut[name]
        self._settle()
        return True

    def close(self) -> None:
        """Let every socket go."""
        for way in self._paths.values():
            self._close(way)
        self._paths.clear()

    # -- keeping in step -------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Make sockets and paths what uplinks and servers ask for."""
        session = self.session
        if session is None or not self._servers:
            return
        effects = Effects()
        wanted = {uplink.name: uplink for uplink in self._uplinks if uplink.up and uplink.name not in self._cut}
        chosen = {name: ends for name, uplink in wanted.items() if (ends := self._ends(uplink)) is not None}
        rungs = [rung for name in chosen for rung in self.ladders.open_on(name)]
        for rung in [rung for rung in self._paths if rung not in rungs]:
            self._leave(rung, session, effects)
        unused = dict.fromkeys(wanted.keys() - chosen.keys(), "it has no address of a kind that the server has too")
        for rung in rungs:
            try:
                self._take(rung, chosen[rung.uplink], session, effects)
            except HostError as problem:
                self._tell("uplink-unusable", f"uplink {rung.uplink} cannot be used: {problem}")
                unused[rung.uplink] = str(problem)
        before, now = self._unused, self._pump.now()
        since = {name: before[name].since if name in before else now for name in unused}
        self._unused = {name: Standing("unused", since[name], why) for name, why in unused.items()}
        self.settled()
        self._pump.carry_out(effects)
        self._pump.tunnel.poke(session, self._pump.now())

    def _ends(self, uplink: Uplink) -> tuple[str, Endpoint] | None:
        """
        Our address and the server's for this uplink: the first of the server's that it has a way to, and the address
        that this way is taken from. Where the machine does not tell, it is the first of both of one family.
        """
        first: tuple[str, Endpoint] | None = None
        mute = self._mute.get(uplink.name, ())
        for server in [each for each in self._servers if each.host not in mute] or self._servers:
            addresses = uplink.addresses6 if ":" in server.host else uplink.addresses4
            if addresses:
                first = first or (addresses[0], server)
                source = self._source(uplink.name, server.host)
                if source in addresses:
                    return source, server
        return first

    def _leave(self, rung: Rung, session: Session, effects: Effects) -> None:
        way = self._paths.pop(rung)
        self._close(way)
        session.close_path(way.path, self._pump.now(), effects)

    def _take(self, rung: Rung, ends: tuple[str, Endpoint], session: Session, effects: Effects) -> None:
        (source, server), name = ends, rung.uplink
        now, way = self._pump.now(), self._paths.get(rung)
        if way is not None and way.source == source:
            path = session.paths[way.path]
            if path.remote != server:
                session.move_path(way.path, way.door.number, server, now, effects)
            return
        door = self._door(self._reactor, self._pump.new_number(), self._pump.from_door, host=source, device=name)
        door.open()
        door.too_big = self._too_big
        shape = self.ladders.shape(rung)
        self._pump.attach(door, Carrier(shape=shape) if shape is not None else PLAIN)
        if way is None:
            path = session.open_path(door.number, server, name, now, effects)
            before = path.delivery.sent_bytes + path.received.bytes
            self._paths[rung] = _UplinkPath(source, door, path.id, before)
        else:
            self._close(way)
            self._paths[rung] = _UplinkPath(source, door, way.path, way.began)
            session.move_path(way.path, door.number, server, now, effects)

    def _close(self, way: _UplinkPath) -> None:
        self._pump.detach(way.door.number)
        way.door.close()

    def _too_big(self, departure: Departure) -> None:
        """The device takes no datagram of that size: the path must not be given another."""
        session = self.session
        for path in session.paths.values() if session else ():
            if path.door == departure.door and path.state is not State.CLOSED:
                path.mtu.refused(departure.size - path.overhead, self._pump.now())


def server_hosts(called: str, told: Sequence[str], before: Sequence[str]) -> tuple[str, ...]:
    """Where the server is, the best first: where it answered (or ""), what it says of itself, where it was lately."""
    usable = [host for host in told if is_reachable(ip_address(host))]
    return tuple(dict.fromkeys(filter(None, (called, *usable, *before))))[:MOST_SERVER_HOSTS]


def sources_of(uplinks: Sequence[Uplink]) -> list[Source]:
    """The uplinks that are up, best first, once for each family: where one may call from."""
    ordered = sorted((uplink for uplink in uplinks if uplink.up), key=lambda uplink: uplink.metric)
    return [
        Source(uplink.name, address)
        for uplink in ordered
        for address in (*uplink.addresses4[:1], *uplink.addresses6[:1])
    ]
