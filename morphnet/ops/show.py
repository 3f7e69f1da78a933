"""
A node's picture as lines of text, at most 80 columns wide, in the manner of `wg show`.

A line is a list of pieces, each with the name of its style; `plain` and `ansi` make text of it, and the command line
makes rich text of it. So the manhole, `morphnet status` and the demo show the same, and the node needs no rich.
Whichever of them does it lets through what is printable alone: names and reasons come from elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from morphnet.ops import show_counts, show_uplinks
from morphnet.ops.page import WIDTH, Line, fit, label, labelled, shortened
from morphnet.ops.show_carries import carries_lines
from morphnet.ops.show_guests import guest_lines, guests_lines
from morphnet.ops.show_legacy import legacies_lines, legacy_lines
from morphnet.ops.show_networks import networks_lines
from morphnet.ops.show_phones import phones_lines
from morphnet.ops.show_policy import policy_lines
from morphnet.ops.show_uploads import uploads_lines
from morphnet.ops.units import amount, delay, part, span, speed
from morphnet.status import Happening, NodeStatus, PathStatus, PeerStatus, RelayStatus, SessionStatus
from morphnet.text import printable

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

_COLUMNS = {"for": 8, "rtt": 8, "jitter": 8, "loss": 7, "share": 6, "rate": 12, "mtu": 6}
_FIRST = ("for", "rtt", "loss", "share", "rate", "mtu", "jitter")  # who has room before whom, where it is narrow
_BEFORE = 25  # columns in front of them


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

    `whole` is all of it, in so many columns, `table` one line for each. `none` is what to say when there is nothing,
    "" for no word.
    """

    whole: Callable[[NodeStatus, float, int], list[Line]]
    table: Callable[[NodeStatus, float], list[Line]]
    none: Callable[[NodeStatus], str]


def sections_of(node: NodeStatus) -> list[str]:
    """Names in SECTIONS of what that process has; one of before does not say so."""
    said = node.sections or tuple(name for name in SECTIONS if getattr(node, name)) or ("sessions",)
    return [name for name in said if name in SECTIONS]


def node_lines(node: NodeStatus, now: float, width: int = WIDTH) -> list[Line]:
    """
    Everything: the node, and all of its sections.

    :param now: Unix seconds.
    :param width: columns that there are.
    """
    lines, sections = head_lines(node, now, width), [SECTIONS[name] for name in sections_of(node)]
    for section in sections:
        lines += section.whole(node, now, width)
    lines += [line for section in sections if (text := section.none(node)) for line in ([], [(text, "dim")])]
    return fit(lines, width)


def _apart(each: Iterable[list[Line]]) -> list[Line]:
    """One after the other, each behind an empty line."""
    return [line for lines in each for line in ([], *lines)]


def own_sessions(node: NodeStatus) -> list[SessionStatus]:
    """Those that are not with peers, which are shown as peers."""
    peers = {peer.name for peer in node.peers}
    return [session for session in node.sessions if session.name not in peers]


def head_lines(node: NodeStatus, now: float, width: int = WIDTH) -> list[Line]:
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
        lines += labelled("now", node.headline, "good" if node.well else "bad", width)
    facts = [f"core {node.core}" if node.core else "", " ".join(node.offloads)]
    lines += labelled("kernel", ", ".join(fact for fact in facts if fact), "dim", width)
    if node.listening:
        lines += labelled("serves", "; ".join(node.listening), "", width)
    for uplink in node.uplinks:
        if uplink.state != "up":
            lasts = span(now - uplink.since)
            when = f"for {lasts}" if uplink.state == "unused" else f"{lasts} ago"
            lines += labelled("uplink", f"{uplink.name} {uplink.state} {when}: {uplink.why}", "warn", width)
        elif uplink.shape == "none":
            lines += labelled("uplink", f"{uplink.name}: no shape of datagrams gets through", "warn", width)
        elif uplink.share:
            lines += labelled("uplink", f"{uplink.name} {uplink.share}", "good", width)
        if used := show_uplinks.use_of(uplink):
            lines += labelled("uplink", f"{uplink.name}: {used}", "", width)
    lines += policy_lines(node.policy, width)
    for warning in node.warnings:
        lines += labelled("warning", warning, "warn", width)
    return lines + show_counts.of_process({**node.counters, **node.levels}, width)


def session_lines(session: SessionStatus, now: float, width: int = WIDTH) -> list[Line]:
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
    lines += labelled("inner", ", ".join(session.inner) or "none", "", width)
    lines.append([label("control"), (session.control, "good" if up else "warn"), (f"  {group}".rstrip(), "dim")])
    lines[-1].append((f"  key epoch {session.epoch}", "dim"))
    lines.append([label("data"), (f"{amount(received)} received, {amount(sent)} sent", "")])
    lines += show_counts.of_session({**session.counters, **session.levels}, width)
    return lines + (path_lines(session.paths, now, width) or [[label("paths"), ("none", "warn")]])


def sessions_lines(sessions: Sequence[SessionStatus], now: float) -> list[Line]:
    """One line for each session."""
    if not sessions:
        return [[("no session", "dim")]]
    lines: list[Line] = [[(f"{'session':<22}{'up':>8}  {'control':<8}{'scheduler':<10}{'paths':>5}  inner", "dim")]]
    for each in sessions:
        alive = sum(path.state in ("active", "standby") for path in each.paths)
        lines.append(
            [
                (f"{shortened(each.name, 21):<22}", "head"),
                (f"{span(now - each.since):>8}  ", ""),
                (f"{each.control:<8}", "good" if each.control == "up" else "warn"),
                (f"{each.scheduler:<10}", ""),
                (f"{f'{alive}/{len(each.paths)}':>5}  ", "good" if alive else "bad"),
                (", ".join(each.inner), ""),
            ]
        )
    return lines


def relay_lines(relay: RelayStatus, width: int = WIDTH) -> list[Line]:
    """One relay, as a node sees it."""
    up = relay.state == "connected"
    lines: list[Line] = [[("relay ", ""), (relay.name, "head"), ("  ", "")]]
    if len(f"relay {relay.name}  {relay.state}") <= width:
        lines[0].append((relay.state, "good" if up else "warn"))
    else:
        lines += labelled("state", relay.state, "good" if up else "warn", width)
    if relay.address:
        lines += labelled("address", relay.address, "", width)
        lines += labelled("peers", str(relay.peers), "", width)
    if relay.sent_bytes or relay.received_bytes:
        lines += labelled(
            "data", f"{amount(relay.received_bytes)} received, {amount(relay.sent_bytes)} sent", "", width
        )
    return lines


def peer_lines(peer: PeerStatus, now: float, width: int = WIDTH) -> list[Line]:
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
        lines += labelled("inner", ", ".join(peer.inner), "", width)
    if peer.way == "none":
        why = f": {peer.decisions[-1].why}" if peer.decisions else ""
        return lines + labelled("way", f"none{why}", "dim" if peer.state == "apart" else "warn", width)
    rtt = f"  rtt {delay(peer.rtt)}" if peer.rtt is not None else ""
    return lines + labelled(peer.way, f"{way_of(peer)}{rtt}", "", width)


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
                (f"{shortened(each.name, 17):<18}", "head"),
                (f"{shortened(each.state, 10):<11}", _PEER_STATES.get(each.state, "warn")),
                (f"{span(now - each.since):>8}{delay(each.rtt):>9}  ", ""),
                (shortened(way, WIDTH - 48), "" if each.way != "none" else "dim"),
            ]
        )
    return lines


def path_lines(paths: Sequence[PathStatus], now: float, width: int = WIDTH) -> list[Line]:
    """A small table: two lines for each path."""
    if not paths:
        return []
    shown = _columns(width)
    title = f"  {'path':<15}{'state':<8}" + "".join(f"{name:>{_COLUMNS[name]}}" for name in shown)
    lines: list[Line] = [[(title, "dim")]]
    for each in paths:
        lines += [*_figures(each, now, shown), *_ends(each, width)]
    return lines


def _columns(width: int) -> list[str]:
    """Those that there is room for."""
    room, chosen = width - _BEFORE, set()
    for name in _FIRST:
        if _COLUMNS[name] <= room:
            chosen.add(name)
            room -= _COLUMNS[name]
    return [name for name in _COLUMNS if name in chosen]


def _figures(path: PathStatus, now: float, shown: Sequence[str]) -> list[Line]:
    """How it does; where its uplink's name is too long for its column, in the line below that."""
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
    number, uplink = (f"  {path.path:>3} ", "bold" if alive else ""), path.uplink
    above: list[Line] = [[number, (uplink, "")]] if len(uplink) > 10 else []
    line: Line = [
        *([(f"{'':<17}", "")] if above else [number, (f"{uplink:<11}", "")]),
        (f"{shortened(path.state, 8):<8}", _STATES.get(path.state, "warn")),
    ]
    for name in shown:
        text, style = values[name]
        line += [(" " * max(1, _COLUMNS[name] - len(text)), ""), (text, style)]
    return [*above, line]


def _ends(path: PathStatus, width: int) -> list[Line]:
    """Where the path goes, and what it carried; in more lines where one is too short (IPv6)."""
    words = [path.local, f"-> {path.remote}"]
    if path.seen_as not in ("", path.local):
        words.insert(1, f"as {path.seen_as}")
    what = f"rx {amount(path.received_bytes)}, tx {amount(path.sent_bytes)}"
    if path.resent_packets:
        what += f", {path.resent_packets} resent"
    if path.shape != "plain":
        what = f"{path.shape}, {what}"
    where = f"      {' '.join(words)}"
    if len(where) > width:
        return [*([(f"      {word}", "dim")] for word in words[:-1]), *_right(f"      {words[-1]}", what, width)]
    return _right(where, what, width)


def _right(left: str, right: str, width: int) -> list[Line]:
    gap = width - len(left) - len(right)
    if gap < 2:
        return [[(left, "dim")], [(f"{right:>{width}}", "dim")]]
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


SECTIONS = {  # by their names in NodeStatus, in the order in which they are shown
    "sessions": Section(
        whole=lambda node, now, width: _apart(session_lines(each, now, width) for each in own_sessions(node)),
        table=lambda node, now: sessions_lines(node.sessions, now),
        none=lambda node: "no session" if not own_sessions(node) and node.state != "among peers" else "",
    ),
    "carries": Section(
        whole=lambda node, now, width: carries_lines(node.carries),
        table=lambda node, now: carries_lines(node.carries),
        none=lambda node: "",
    ),
    "networks": Section(
        whole=lambda node, now, width: _apart([networks_lines(node.networks)] if node.networks else []),
        table=lambda node, now: networks_lines(node.networks),
        none=lambda node: "",
    ),
    "phones": Section(
        whole=lambda node, now, width: _apart([phones_lines(node.phones, now)] if node.phones else []),
        table=lambda node, now: phones_lines(node.phones, now),
        none=lambda node: "",
    ),
    "uploads": Section(
        whole=lambda node, now, width: _apart([uploads_lines(node.uploads, now)] if node.uploads else []),
        table=lambda node, now: uploads_lines(node.uploads, now),
        none=lambda node: "no upload is under way" if not node.uploads else "",
    ),
    "relays": Section(
        whole=lambda node, now, width: _apart(relay_lines(each, width) for each in node.relays),
        table=lambda node, now: _apart(relay_lines(each) for each in node.relays)[1:] or [[("no relay", "dim")]],
        none=lambda node: "",
    ),
    "peers": Section(
        whole=lambda node, now, width: _apart(peer_lines(each, now, width) for each in node.peers),
        table=lambda node, now: peers_lines(node.peers, now),
        none=lambda node: "",
    ),
    "guests": Section(
        whole=lambda node, now, width: _apart(guest_lines(each, width) for each in node.guests),
        table=lambda node, now: guests_lines(node.guests),
        none=lambda node: "no guest" if not node.guests else "",
    ),
    "legacy": Section(
        whole=lambda node, now, width: _apart(legacy_lines(each, now, width) for each in node.legacy),
        table=lambda node, now: legacies_lines(node.legacy, now),
        none=lambda node: "no old client" if not node.legacy else "",
    ),
}
