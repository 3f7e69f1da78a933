"""Frozen pictures of a running node: what `morphnet status`, the manhole and the demo show."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from morphnet.levels import LEVELS
from morphnet.policystatus import PolicyStatus
from morphnet.text import printable

LONGEST_TEXT = 2000  # characters of one text of a picture that was read
_LEAST_REAL, _MOST_REAL = -6e10, 6e10  # in Unix seconds the years 68 and 3871: dates that can be shown
_MOST_WHOLE = (1 << 63) - 1

T = TypeVar("T")


def by_kind(counted: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """What only grows, and what there is now: each by its name, in order."""
    names = sorted(counted)
    grown = {name: counted[name] for name in names if name not in LEVELS}
    return grown, {name: counted[name] for name in names if name in LEVELS}


@dataclass(frozen=True, slots=True)
class PathStatus:
    """One way between the two ends, as this end sees it."""

    path: int  # path id, 0 .. 255
    uplink: str  # interface name; "" on a server
    local: str  # "host:port" or "[host]:port"
    seen_as: str  # the same as the peer sees it, "" when it has not said so: a NAT stands between when they differ
    remote: str  # the same for the peer
    state: str  # "probing", "active", "standby", "silent", "closed"
    since: float  # Unix seconds at which `state` began
    rtt: float | None  # seconds, smoothed
    jitter: float | None  # seconds, RFC 3550 section 6.4.1
    loss: float  # 0 .. 1, over the last seconds
    rate: float  # bytes a second that the path was seen to deliver; 0 until measured
    mtu: int  # largest UDP payload that was proven to pass, bytes
    share: float  # of the bytes this end sent in the last seconds, 0 .. 1
    sent_packets: int  # datagrams, since the session began
    sent_bytes: int  # of UDP payload
    received_packets: int  # authentic datagrams
    received_bytes: int  # of their UDP payload
    resent_packets: int  # moved here because another path fell silent
    shape: str = "plain"  # what this end's datagrams look like on it: "plain", "masked", "quic"


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """One session: a peer, its inner addresses and its paths."""

    name: str  # the peer's certificate name
    session: str  # session name, hex; never shown on the wire
    since: float  # Unix seconds
    inner: tuple[str, ...]  # inner addresses of the client, v4 and/or v6
    scheduler: str  # how packets are spread over the paths: "bond", "flow", "redundant", "best"
    epoch: int  # key epoch used for sending
    control: str  # its control link: "up" or "down"; "met" with a peer, which has none
    group: str  # TLS group of the last control handshake, for example "X25519MLKEM768"
    paths: tuple[PathStatus, ...]  # those that are not closed
    counters: Mapping[str, int] = field(default_factory=dict)  # since it began, of paths that are closed too
    levels: Mapping[str, int] = field(default_factory=dict)  # how much there is now


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of what was tried with a peer, and why."""

    at: float  # Unix seconds
    state: str  # as in PeerStatus
    why: str  # one phrase


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """Another machine of the network, and the way to it."""

    name: str  # its certificate name
    state: str  # "apart", "meeting", "estranged", "searching", "settled", "streaming", "direct"
    since: float  # Unix seconds at which `state` began
    inner: tuple[str, ...]  # its inner addresses; none before it was met
    way: str  # "direct", "relay", "none"
    local: str  # our side of the way, "host:port"
    remote: str  # the peer's side, or the name of the relay
    rtt: float | None  # seconds, smoothed
    group: str  # TLS group of the handshake with it
    words: tuple[str, ...]  # to compare aloud with those at the other end
    decisions: tuple[Decision, ...] = ()  # oldest first
    counters: Mapping[str, int] = field(default_factory=dict)  # of the session with it, since that began


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """A relay, seen from a node."""

    name: str  # HOST, as in the configuration
    address: str  # "host:port"; "" while it is not reached
    state: str  # one phrase: "connected", or why not
    group: str  # TLS group of the line
    peers: int  # that are there and concern us
    sent_bytes: int  # of datagrams through it
    received_bytes: int  # likewise


@dataclass(frozen=True, slots=True)
class GuestStatus:
    """A node, seen from a relay. What a guest has counted begins anew when it comes again; the relay's sums do not."""

    name: str  # its certificate name
    address: str  # "host:port" that it comes from
    sent_bytes: int  # that it had forwarded
    received_bytes: int  # that were forwarded to it


@dataclass(frozen=True, slots=True)
class LegacyStatus:
    """A client of the original morphProtocol, seen from a server."""

    name: str  # "old-", and the first bytes of its ClientID, hex
    user: str  # as whom it came, unproved
    template: str  # what its datagrams look like: "quic", "kcp", "game"
    layers: int  # of obfuscation, 1 .. 4
    address: str  # "host:port" where it was last heard
    port: int  # of ours, UDP
    since: float  # Unix seconds
    heard: float  # Unix seconds at which something came of it last
    moves: int  # to other addresses, since it began
    sent_bytes: int  # to it, of what its program is given
    received_bytes: int  # from it, likewise


@dataclass(frozen=True, slots=True)
class UplinkStatus:
    """A way out of this machine, also one that is gone."""

    name: str  # of the device
    state: str  # "up", "unused" (there, and of no use), "cut" (by the operator), "never" (left alone) or "lost"
    since: float  # Unix seconds at which `state` began
    why: str  # one phrase; "" while it is up
    share: str = ""  # what it gets of new flows where they are dealt out, one phrase; "" elsewhere
    shape: str = ""  # with `shape = "auto"`: what was found to get through there, "none": nothing by UDP
    use: str = "normal"  # "normal", "metered", "backup", "last" (nothing else works) or "never": who carries first
    use_why: str = ""  # who wants it so: "by the operator", or its cap; "" for the settings
    metered: bool = False  # each byte costs: it comes after those of its use that are not
    priority: int = 10  # among those of one use, metered or not: the least carries
    cap_bytes: int = 0  # that it may carry in a month, both ways; 0 for no cap
    carried_bytes: int = 0  # that it has carried since `carried_since`, where there is a cap
    carried_since: str = ""  # the day on which this month began, as in 2026-11-01 (UTC)
    rate_up: float = 0.0  # bytes a second that are sent by it at most; 0 for no bound
    rate_down: float = 0.0  # and that the server sends


@dataclass(frozen=True, slots=True)
class CarryStatus:
    """UDP of other programs that is carried: an entry of a client, or a service of a server."""

    service: str  # its name
    address: str  # "host:port": where a client takes datagrams in, or where the service is
    users: int  # programs that are remembered
    sent_bytes: int  # of payload, into the tunnel
    received_bytes: int  # out of it


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """A network behind a client, or a port of the server that leads to one."""

    network: str  # in CIDR notation; of a port "443/tcp"
    client: str  # its certificate name; on a client "" for one behind others
    state: str  # "used", "standby", "asked", "refused", "idle" (approved, not offered), "forwarded"
    why: str  # one phrase; "" while it is used


@dataclass(frozen=True, slots=True)
class PhoneStatus:
    """A machine that comes to a server by WireGuard."""

    name: str  # as it was invited
    state: str  # "new" (it never came), "connected", "away", "refused"
    why: str  # one phrase; "" while it is connected, or away
    inner: tuple[str, ...]  # its inner addresses
    endpoint: str  # "host:port" where it was last heard; "" before it came
    handshake_at: float  # Unix seconds of its last handshake; 0 for never
    sent_bytes: int  # to it, since the process began; WireGuard's headers among them
    received_bytes: int  # from it, likewise


@dataclass(frozen=True, slots=True)
class UploadStatus:
    """A file that an upload server has not got the whole of."""

    path: str  # of its slot
    user: str  # JID, or name of a token; "" where the slot does not tell
    size_bytes: int  # of the whole file
    stored_bytes: int  # that are there
    since: float  # Unix seconds at which its first bytes came, of those since the process began
    address: str  # from which the last ones came
    moves: int  # to other addresses
    running: bool  # somebody sends just now


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One process."""

    role: str  # "server", "client", "relay", "upload"
    name: str  # own certificate name
    version: str  # of morphnet
    pid: int  # its number on this machine
    started_at: float  # Unix seconds
    core: str  # "pure" or the name of the compiled core
    offloads: tuple[str, ...]  # what this kernel gave us: "tso", "uso", "gso", "gro"; or "no tso" ...
    listening: tuple[str, ...]  # where it is served, one phrase each
    state: str  # one phrase: "serving", "connected", "reconnecting in 3 s: connection refused"
    sessions: tuple[SessionStatus, ...]  # with clients, with the server, with peers
    counters: Mapping[str, int] = field(default_factory=dict)  # of the process since it started, which never fall
    peers: tuple[PeerStatus, ...] = ()  # of a client
    relays: tuple[RelayStatus, ...] = ()  # of a client, the lines to them
    guests: tuple[GuestStatus, ...] = ()  # of a relay
    warnings: tuple[str, ...] = ()  # what its operator should see to, one sentence each
    traffic: str = ""  # where that goes which is to go through the tunnel: "tunnel", "outside" or "held"; "" for none
    headline: str = ""  # whether it does what it is there for, or what is in the way, in one sentence
    well: bool = True  # it does
    levels: Mapping[str, int] = field(default_factory=dict)  # how much there is now
    totals: Mapping[str, int] = field(default_factory=dict)  # sums of those of all sessions, ended ones too
    uplinks: tuple[UplinkStatus, ...] = ()  # of a client: the best first, then those that are lost
    legacy: tuple[LegacyStatus, ...] = ()  # of a server: clients of the original morphProtocol
    carries: tuple[CarryStatus, ...] = ()  # UDP of other programs, by entry or service
    uploads: tuple[UploadStatus, ...] = ()  # of an upload server, those under way: at most 100, the latest first
    networks: tuple[NetworkStatus, ...] = ()  # behind clients, and ports that lead to them
    policy: PolicyStatus | None = None  # of a server and a client: the network's, if there is one
    phones: tuple[PhoneStatus, ...] = ()  # of a server: who comes by WireGuard
    sections: tuple[str, ...] = ()  # names of the lists above that such a process has, in order

    def brief(self) -> NodeStatus:
        """The same for who looks again and again: of what was decided about each peer the last line alone."""
        peers = tuple(dataclasses.replace(peer, decisions=peer.decisions[-1:]) for peer in self.peers)
        return dataclasses.replace(self, peers=peers)


@dataclass(frozen=True, slots=True)
class NetworksStatus:
    """The networks behind clients, as a server has them."""

    networks: tuple[NetworkStatus, ...]


@dataclass(frozen=True, slots=True)
class PhonesStatus:
    """Those who come by WireGuard, as a server has them."""

    phones: tuple[PhoneStatus, ...]
    warnings: tuple[str, ...] = ()  # why they cannot come, one sentence each


@dataclass(frozen=True, slots=True)
class Pong:
    """What came of one ping of a peer."""

    name: str  # the peer's certificate name
    inner: tuple[str, ...]  # its inner addresses
    way: str  # "direct", "relay", "none"
    remote: str  # the peer's address, or the name of the relay
    rtt: float | None  # seconds; None when nothing came back


@dataclass(frozen=True, slots=True)
class MoveStatus:
    """What came of sending homes to another coordinator."""

    to: str  # HOST:PORT of that one
    moved: tuple[str, ...]  # keys of the homes that are there now
    stayed: tuple[str, ...]  # "KEY: why" of those that have stayed


@dataclass(frozen=True, slots=True)
class SocketStatus:
    """One of the sockets for direct ways, and what stands in front of it."""

    uplink: str  # interface name
    local: str  # "host:port"
    public: str  # as a relay sees it; "" when none does
    nat: str  # "none", "same" or "each" (mapping for every destination), "some", "blocked", "unknown"
    outside: int = 0  # the port outside that the server was asked to try; 0: none, the link does not come by here
    open: str = "unknown"  # what came of it: "open", "closed", "unknown"


@dataclass(frozen=True, slots=True)
class RelayDistance:
    """How far a relay is."""

    name: str  # HOST, as in the configuration
    state: str  # one phrase
    rtt: float | None  # seconds over UDP, the least that was seen
    nearest: bool  # it is the one to take


@dataclass(frozen=True, slots=True)
class NetcheckStatus:
    """What stands between a machine and the others."""

    name: str  # own certificate name
    sockets: tuple[SocketStatus, ...]  # one for each address of each uplink
    ipv6: bool  # whether there is any, with a way out
    mapped: tuple[str, ...]  # addresses that routers gave us
    relays: tuple[RelayDistance, ...]  # the nearest first


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of a node's recent history."""

    number: int  # counts up from 1 in each process
    at: float  # Unix seconds
    kind: str  # "path-up", "path-silent", "path-moved", "path-gone", "session-up", "session-gone", "rekeyed", ...
    session: str  # the peer's certificate name, or ""
    text: str  # one sentence for a person


def as_json(picture: Any) -> dict[str, Any]:
    """The picture (any dataclass above) as plain JSON values."""
    return dataclasses.asdict(picture)


def from_json(cls: type[T], value: object) -> T:
    """
    The picture that plain JSON values stand for: the inverse of `as_json`.

    They come from another process, which may be of another version or mean no good. Keys that nobody knows are passed
    over and those that have a default may be missing; every value is of its type, so that it can be shown; texts are
    printable and not endless, numbers of a size that can be shown.

    :raises ValueError: a value is missing, or of another type.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"no {cls.__name__}")
    found: dict[str, Any] = {}
    for name, kind, required in _parts(cast("Any", cls)):
        if name in value:
            found[name] = _read(kind, value[name])
        elif required:
            raise ValueError(f"{cls.__name__} without {name}")
    return cls(**found)


@cache
def _parts(cls: type[Any]) -> tuple[tuple[str, Any, bool], ...]:
    """Name, type and whether it must be there, of each field."""
    hints = get_type_hints(cls)
    return tuple(
        (each.name, hints[each.name], each.default is MISSING and each.default_factory is MISSING)
        for each in dataclasses.fields(cls)
    )


def _read(kind: Any, value: object) -> Any:
    """A value of one of the types that pictures are made of."""
    if get_origin(kind) in (Union, types.UnionType):  # X | None
        return None if value is None else _read(get_args(kind)[0], value)
    if get_origin(kind) is tuple and isinstance(value, list | tuple):
        return tuple(_read(get_args(kind)[0], each) for each in value)
    if get_origin(kind) is Mapping and isinstance(value, Mapping):
        return {printable(str(name)[:LONGEST_TEXT]): _read(get_args(kind)[1], each) for name, each in value.items()}
    if dataclasses.is_dataclass(kind):
        return from_json(cast("type[Any]", kind), value)
    if kind is str and isinstance(value, str):
        return printable(value[:LONGEST_TEXT])
    if kind is bool and isinstance(value, bool):
        return value
    if isinstance(value, bool) or value != value:  # NaN
        raise ValueError("no number")
    if kind is int and isinstance(value, int):
        return max(-_MOST_WHOLE, min(value, _MOST_WHOLE))
    if kind is float and isinstance(value, int | float):
        return max(_LEAST_REAL, min(float(max(-_MOST_WHOLE, min(value, _MOST_WHOLE))), _MOST_REAL))
    raise ValueError(f"not of type {kind}")
