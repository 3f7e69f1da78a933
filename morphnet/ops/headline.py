"""One sentence about a running process: does it do what it is there for, and if not, what is in the way?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from morphnet.ops.show_uplinks import PRIORITY
from morphnet.status import NodeStatus, PathStatus, UplinkStatus

AMONG_PEERS = "among peers"  # the state of a client without a server
_USES = ("normal", "metered", "backup", "last", "never")  # as in UplinkStatus, the first carries
BALANCING = "balancing over"  # of one that deals out flows, and the names of its uplinks
AT_ORIGINAL = "connected to an original server"  # that of one which has nothing else
_WHERE = {"outside": "traffic goes past the tunnel", "held": "nothing leaves this machine (strict)"}
_AWAY = {"never": "is never used", "cut": "is cut", "unused": "is of no use", "lost": "is lost"}  # uplinks' states


@dataclass(frozen=True, slots=True)
class Headline:
    """In words, and whether all is well."""

    text: str
    well: bool


def with_headline(node: NodeStatus) -> NodeStatus:
    """The picture of a process, with what it comes to."""
    found = headline(node)
    return replace(node, headline=found.text, well=found.well)


def headline(node: NodeStatus) -> Headline:
    """What the facts in a picture come to."""
    if node.role != "client":
        return Headline(node.state, node.state.partition(",")[0] in ("serving", "draining"))
    if not node.core:  # no tunnel: it deals out flows
        return Headline(node.state, node.state.startswith(BALANCING))
    if node.state == AT_ORIGINAL:
        return Headline(node.state, True)
    if node.state == AMONG_PEERS:
        return _among_peers(node)
    peers = {peer.name for peer in node.peers}
    paths = [path for session in node.sessions if session.name not in peers for path in session.paths]
    usable = [path for path in paths if path.state in ("active", "standby")]
    troubles = _troubles(path for path in paths if path not in usable)
    if node.state != "connected":
        troubles.append(f"control link: {node.state}" if paths else node.state)
    if usable:
        by = _carrying(usable, node.uplinks)
        return Headline("; ".join([f"connected by {by}", *troubles]), True)
    if node.uplinks and all(each.state != "up" for each in node.uplinks):
        there = ", ".join(f"{each.name} {_AWAY.get(each.state, each.state)}" for each in node.uplinks)
        troubles.insert(0, f"no uplink to go by ({there})")
    what = "no data path" if paths or node.state == "connected" else "not connected"
    why = "; ".join(troubles) or "there is no uplink"
    return Headline("; ".join(filter(None, (f"{what}: {why}", _WHERE.get(node.traffic)))), False)


def _among_peers(node: NodeStatus) -> Headline:
    met = sum(peer.way != "none" for peer in node.peers)
    if met or any(relay.state == "connected" for relay in node.relays):
        return Headline(f"among peers: {met} of {len(node.peers)} are met", True)
    why = node.relays[0].state if node.relays else "none is set"
    return Headline(f"no relay is reached: {why}", False)


def _carrying(paths: Iterable[PathStatus], uplinks: Iterable[UplinkStatus]) -> str:
    """Those that are to be used first, and, in brackets, those that work and wait for that to end."""
    places = {each.name: (_USES.index(each.use), each.metered, each.priority) for each in uplinks if each.use in _USES}
    names = {path.uplink: places.get(path.uplink.removeprefix("tcp "), (0, False, PRIORITY)) for path in paths}
    plain = not places or len(set(places.values())) == 1
    first = [name for name, place in names.items() if plain or place == min(names.values())]
    rest = [name for name in names if name not in first]
    return _listed(first) + (f" ({_listed(rest)} in reserve)" if rest else "")


def _troubles(paths: Iterable[PathStatus]) -> list[str]:
    """Why these do not work, each reason once, with the uplinks that it holds for."""
    by_reason: dict[str, list[str]] = {}
    for path in paths:
        by_reason.setdefault(_reason(path), []).append(path.uplink)
    return [f"{reason} on {_listed(uplinks)}" for reason, uplinks in by_reason.items()]


def _reason(path: PathStatus) -> str:
    port = path.remote.rpartition(":")[2]
    by = "TCP" if path.uplink.partition(" ")[0] == "tcp" else "UDP"  # see roles/client/streaming
    if path.state == "probing" and not path.received_packets:
        return f"{by} {port} does not get through" if port.isdigit() else f"{path.remote} is not reached"
    return "nothing comes back"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
