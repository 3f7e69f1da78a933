"""
A node's picture as lines of text, 80 columns wide, in the manner of `wg show`.

A line is a list of pieces, each with the name of its style; `plain` and `ansi` make text of it, and the command line
makes rich text of it. So the manhole, `morphnet status` and the demo show the same, and the node needs no rich.
Whichever of them does it lets through what is printable alone: names and reasons come from elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from morphnet.ops.units import amount, delay, part, span, speed
from morphnet.status import GuestStatus, Happening, NodeStatus, PathStatus, PeerStatus, RelayStatus, SessionStatus
from morphnet.text import printable

WIDTH = 80

Piece = tuple[str, str]  # text, name of a style in STYLES
Line = list[Piece]

STYLES = {  # name -> SGR parameters, ECMA-48 section 8.3.117
    "": "",
    "dim": "2",
    "bold": "1",
    "head": "1;36",
    "good": "32",
    "calm": "36",
    "warn": "33",
    "bad": "1;31",
}
_STATES = {"active": "good", "standby": "calm", "probing": "warn", "silent": "bad", "closed": "dim"}
_PEER_STATES = {"direct": "good", "streaming": "good", "searching": "calm", "settled": "calm"}
_PEER_STATES |= {"estranged": "bad", "apart": "dim"}
_GOOD = frozenset({"serving", "connected", "among peers"})

# Counters that only say that there is traffic, or that all is as it should be; --json has them.
_ORDINARY = frozenset(
    {f"{way}_{what}" for way in ("read", "written", "send", "receive") for what in ("bytes", "calls", "packets")}
    | {f"{way}{what}" for way in ("sent", "received") for what in ("", "_bytes", "_packets")}
    | {f"{by}_{way}" for by in ("relayed", "stream") for way in ("sent", "sent_bytes", "received", "received_bytes")}
    | {"control_links"}
    | {"lines", "lines_half_open", "forwarded", "forwarded_bytes", "echoes"}
)

_COLUMNS = (("for", 8), ("rtt", 8), ("jitter", 8), ("loss", 7), ("share", 6), ("rate", 12), ("mtu", 6))


def plain(lines: Iterable[Line]) -> str:
    """Without colours, for a file or a pipe."""
    return "\n".join("".join(printable(text) for text, _ in line).rstrip() for line in lines)


def ansi(lines: Iterable[Line]) -> str:
    """With colours, for a terminal."""
    return "\n".join("".join(_styled(printable(text), STYLES[style]) for text, style in line) for line in lines)


def _styled(text: str, parameters: str) -> str:
    return f"\x1b[{parameters}m{text}\x1b[0m" if parameters else text


@dataclass(frozen=True, slots=True)
class Section:
    """
    One kind of thing that a process has, as text.

    `whole` is all of it, `table` one line for each. `none` is what to say when there is nothing, "" for no word.
    """

    whole: Callable[[NodeStatus, float], list[Line]]
    table: Callable[[NodeStatus, float], list[Line]]
    none: Callable[[NodeStatus], str]


def sections_of(node: NodeStatus) -> list[str]:
    """Names in SECTIONS of what that process has; one of before does not say so."""
    said = node.sections or tuple(name for name in SECTIONS if getattr(node, name)) or ("sessions",)
    return [name for name in said if name in SECTIONS]


def node_lines(node: NodeStatus, now: float) -> list[Line]:
    """
    Everything: the node, and all of its sections.

    :param now: Unix seconds.
    """
    lines, sections = head_lines(node, now), [SECTIONS[name] for name in sections_of(node)]
    for section in sections:
        lines += section.whole(node, now)
    return lines + [line for section in sections if (text := section.none(node)) for line in ([], [(text, "dim")])]


def _apart(each: Iterable[list[Line]]) -> list[Line]:
    """One after the other, each behind an empty line."""
    return [line for lines in each for line in ([], *lines)]


def own_sessions(node: NodeStatus) -> list[SessionStatus]:
    """Those that are not with peers, which are shown as peers."""
    peers = {peer.name for peer in node.peers}
    return [session for session in node.sessions if session.name not in peers]


def head_lines(node: NodeStatus, now: float) -> list[Line]:
    """What runs here, in a line or two."""
    lines: list[Line] = [
        [
            (f"{node.role} ", ""),
            (node.name or "?", "head"),
            ("  ", ""),
            (node.state, "good" if node.state in _GOOD and node.well else "warn"),
            (f"  up {span(now - node.started_at)}", ""),
            (f"  pid {node.pid}  morphnet {node.version}", "dim"),
        ]
    ]
    if node.headline not in ("", node.state):
        lines += labelled("now", node.headline, "good" if node.well else "bad")
    facts = [f"core {node.core}" if node.core else "", " ".join(node.offloads)]
    lines += labelled("kernel", ", ".join(fact for fact in facts if fact), "dim")
    if node.listening:
        lines += labelled("serves", " ".join(node.listening), "")
    for uplink in node.uplinks:
        if uplink.state != "up":
            how = f"{uplink.name} is {uplink.state} for {span(now - uplink.since)}"
            lines += labelled("uplink", f"{how}: {uplink.why}", "warn")
    for warning in node.warnings:
        lines += labelled("warning", warning, "warn")
    trouble = _trouble({**node.counters, **node.levels})
    if trouble:
        lines += labelled("counts", ", ".join(f"{name} {count}" for name, count in trouble.items()), "dim")
    return lines


def _trouble(counted: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counted.items() if count and name not in _ORDINARY}


def session_lines(session: SessionStatus, now: float) -> list[Line]:
    """One session and its paths."""
    up = session.control == "up"
    received = session.counters.get("received_bytes", sum(path.received_bytes for path in session.paths))
    sent = session.counters.get("sent_bytes", sum(path.sent_bytes for path in session.paths))
    group = f"TLS 1.3, {session.group}" if session.group else ""
    lines: list[Line] = [
        [
            ("session ", ""),
            (session.name, "head"),
            (f"  up {span(now - session.since)}", ""),
            ("  scheduler ", "dim"),
            (session.scheduler, "bold"),
        ]
    ]
    lines += labelled("inner", ", ".join(session.inner) or "none", "")
    lines.append([_label("control"), (session.control, "good" if up else "warn"), (f"  {group}".rstrip(), "dim")])
    lines[-1].append((f"  key epoch {session.epoch}", "dim"))
    lines.append([_label("data"), (f"{amount(received)} received, {amount(sent)} sent", "")])
    trouble = _trouble({**session.counters, **session.levels})
    if trouble:
        lines += labelled("counts", ", ".join(f"{name} {count}" for name, count in trouble.items()), "dim")
    return lines + (path_lines(session.paths, now) or [[_label("paths"), ("none", "warn")]])


def sessions_lines(sessions: Sequence[SessionStatus], now: float) -> list[Line]:
    """One line for each session."""
    if not sessions:
        return [[("no session", "dim")]]
    lines: list[Line] = [[(f"{'session':<22}{'up':>8}  {'control':<8}{'scheduler':<10}{'paths':>5}  inner", "dim")]]
    for each in sessions:
        alive = sum(path.state in ("active", "standby") for path in each.paths)
        lines.append(
            [
                (f"{_cut(each.name, 21):<22}", "head"),
                (f"{span(now - each.since):>8}  ", ""),
                (f"{each.control:<8}", "good" if each.control == "up" else "warn"),
                (f"{each.scheduler:<10}", ""),
                (f"{f'{alive}/{len(each.paths)}':>5}  ", "good" if alive else "bad"),
                (", ".join(each.inner), ""),
            ]
        )
    return lines


def relay_lines(relay: RelayStatus) -> list[Line]:
    """One relay, as a node sees it."""
    up = relay.state == "connected"
    lines: list[Line] = [[("relay ", ""), (relay.name, "head"), ("  ", "")]]
    if len(f"relay {relay.name}  {relay.state}") <= WIDTH:
        lines[0].append((relay.state, "good" if up else "warn"))
    else:
        lines += labelled("state", relay.state, "good" if up else "warn")
    if relay.address:
        lines += labelled("address", relay.address, "")
        lines += labelled("peers", str(relay.peers), "")
    if relay.sent_bytes or relay.received_bytes:
        lines += labelled("data", f"{amount(relay.received_bytes)} received, {amount(relay.sent_bytes)} sent", "")
    return lines


def peer_lines(peer: PeerStatus, now: float) -> list[Line]:
    """One peer, in a few lines."""
    lines: list[Line] = [
        [
            ("peer ", ""),
            (peer.name, "head"),
            ("  ", ""),
            (peer.state, _PEER_STATES.get(peer.state, "warn")),
            (f" for {span(now - peer.since)}", ""),
        ]
    ]
    if peer.inner:
        lines += labelled("inner", ", ".join(peer.inner), "")
    if peer.way == "none":
        why = f": {peer.decisions[-1].why}" if peer.decisions else ""
        return lines + labelled("way", f"none{why}", "dim" if peer.state == "apart" else "warn")
    rtt = f"  rtt {delay(peer.rtt)}" if peer.rtt is not None else ""
    return lines + labelled(peer.way, f"{way_of(peer)}{rtt}", "")


def way_of(peer: PeerStatus) -> str:
    """Where its traffic goes: both ends of a direct way, or the relay's name; "" when it has none."""
    if peer.way == "direct":
        return f"{peer.local} -> {peer.remote}"
    return peer.remote.removeprefix("relay ")


def peers_lines(peers: Sequence[PeerStatus], now: float) -> list[Line]:
    """One line for each peer."""
    if not peers:
        return [[("no peer", "dim")]]
    lines: list[Line] = [[(f"{'peer':<18}{'state':<11}{'for':>8}{'rtt':>9}  way", "dim")]]
    for each in peers:
        way = each.remote if each.way == "direct" else f"relay {way_of(each)}" if each.way == "relay" else "none"
        lines.append(
            [
                (f"{_cut(each.name, 17):<18}", "head"),
                (f"{_cut(each.state, 10):<11}", _PEER_STATES.get(each.state, "warn")),
                (f"{span(now - each.since):>8}{delay(each.rtt):>9}  ", ""),
                (_cut(way, WIDTH - 48), "" if each.way != "none" else "dim"),
            ]
        )
    return lines


def guest_lines(guest: GuestStatus) -> list[Line]:
    """One node, as a relay sees it."""
    data = f"{amount(guest.sent_bytes)} from it, {amount(guest.received_bytes)} to it"
    lines: list[Line] = [[("guest ", ""), (guest.name, "head")]]
    return lines + labelled("address", guest.address, "") + labelled("data", data, "")


def guests_lines(guests: Sequence[GuestStatus]) -> list[Line]:
    """One line for each guest."""
    if not guests:
        return [[("no guest", "dim")]]
    lines: list[Line] = [[(f"{'guest':<18}{'from it':>10}{'to it':>10}  address", "dim")]]
    for each in guests:
        data = f"{amount(each.sent_bytes):>10}{amount(each.received_bytes):>10}  "
        lines.append([(f"{_cut(each.name, 17):<18}", "head"), (data, ""), (_cut(each.address, WIDTH - 40), "")])
    return lines


def path_lines(paths: Sequence[PathStatus], now: float) -> list[Line]:
    """A small table: two lines for each path."""
    if not paths:
        return []
    title = f"  {'path':<15}{'state':<8}" + "".join(f"{name:>{width}}" for name, width in _COLUMNS)
    lines: list[Line] = [[(title, "dim")]]
    for each in paths:
        lines += [_figures(each, now), *_ends(each)]
    return lines


def _figures(path: PathStatus, now: float) -> Line:
    alive = path.state in ("active", "standby")
    losing = "" if path.loss < 0.01 else "warn" if path.loss < 0.1 else "bad"
    values = {
        "for": (span(now - path.since), ""),
        "rtt": (delay(path.rtt), ""),
        "jitter": (delay(path.jitter), ""),
        "loss": (part(path.loss), losing),
        "share": (part(path.share), "bold" if path.share >= 0.005 else ""),
        "rate": (speed(path.rate), ""),
        "mtu": (str(path.mtu), ""),
    }
    line: Line = [
        (f"  {path.path:>3} ", "bold" if alive else ""),
        (f"{_cut(path.uplink, 10):<11}", ""),
        (f"{_cut(path.state, 8):<8}", _STATES.get(path.state, "warn")),
    ]
    for name, width in _COLUMNS:
        text, style = values[name]
        line += [(" " * max(1, width - len(text)), ""), (text, style)]
    return line


def _ends(path: PathStatus) -> list[Line]:
    """Where the path goes, and what it carried; in more lines where one is too short (IPv6)."""
    words = [path.local, f"-> {path.remote}"]
    if path.seen_as not in ("", path.local):
        words.insert(1, f"as {path.seen_as}")
    what = f"rx {amount(path.received_bytes)}, tx {amount(path.sent_bytes)}"
    if path.resent_packets:
        what += f", {path.resent_packets} resent"
    where = f"      {' '.join(words)}"
    if len(where) > WIDTH:
        return [*([(f"      {word}", "dim")] for word in words[:-1]), *_right(f"      {words[-1]}", what)]
    return _right(where, what)


def _right(left: str, right: str) -> list[Line]:
    gap = WIDTH - len(left) - len(right)
    if gap < 2:
        return [[(left, "dim")], [(f"{right:>{WIDTH}}", "dim")]]
    return [[(left + " " * gap + right, "dim")]]


def happening_lines(happenings: Sequence[Happening], now: float) -> list[Line]:
    """What happened, one line each, oldest first."""
    if not happenings:
        return [[("nothing happened yet", "dim")]]
    return [
        [
            (f"{each.number:>5} ", "dim"),
            (f"{span(now - each.at):>7} ago  ", ""),
            (f"{each.kind:<13} ", "bold"),
            (f"{each.session}: " if each.session else "", "head"),
            (each.text, ""),
        ]
        for each in happenings
    ]


def event_line(happening: Happening, when: time.struct_time) -> Line:
    """
    One line of what happens, as a log has it.

    :param when: its time, here.
    """
    return [
        (time.strftime("%Y-%m-%d %H:%M:%S", when) + "  ", "dim"),
        (f"{happening.session}: " if happening.session else "", "head"),
        (happening.text, ""),
    ]


def _label(name: str) -> Piece:
    return f"  {name:<8}", "dim"


def labelled(name: str, text: str, style: str) -> list[Line]:
    """A label and its text, wrapped below itself."""
    lines: list[Line] = []
    rest = text
    while rest:
        cut = len(rest) if len(rest) <= WIDTH - 10 else max(rest.rfind(" ", 0, WIDTH - 9), 0) or WIDTH - 10
        lines.append([_label(name if not lines else ""), (rest[:cut].rstrip(), style)])
        rest = rest[cut:].lstrip()
    return lines


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


SECTIONS = {  # by their names in NodeStatus, in the order in which they are shown
    "sessions": Section(
        whole=lambda node, now: _apart(session_lines(each, now) for each in own_sessions(node)),
        table=lambda node, now: sessions_lines(node.sessions, now),
        none=lambda node: "no session" if not own_sessions(node) and node.state != "among peers" else "",
    ),
    "relays": Section(
        whole=lambda node, now: _apart(relay_lines(each) for each in node.relays),
        table=lambda node, now: _apart(relay_lines(each) for each in node.relays)[1:] or [[("no relay", "dim")]],
        none=lambda node: "",
    ),
    "peers": Section(
        whole=lambda node, now: _apart(peer_lines(each, now) for each in node.peers),
        table=lambda node, now: peers_lines(node.peers, now),
        none=lambda node: "",
    ),
    "guests": Section(
        whole=lambda node, now: _apart(guest_lines(each) for each in node.guests),
        table=lambda node, now: guests_lines(node.guests),
        none=lambda node: "no guest" if not node.guests else "",
    ),
}
