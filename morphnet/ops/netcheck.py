"""What stands between this machine and the others, as text: `morphnet netcheck`."""

from __future__ import annotations

from morphnet.ops.page import Line, labelled
from morphnet.ops.units import delay
from morphnet.status import NetcheckStatus, RelayDistance, SocketStatus

NATS = {  # as in SocketStatus -> words, and the style of them
    "none": ("no NAT", "good"),
    "same": ("same mapping for every destination", "good"),
    "each": ("another mapping for each destination", "warn"),
    "some": ("a NAT; whether it maps every destination the same is not known yet", "warn"),
    "blocked": ("UDP does not pass", "bad"),
    "unknown": ("not known: no relay is reached over", "warn"),
}
OPEN = {  # likewise; {} is the port outside, as the server has tried it
    "open": ("UDP port {} is open", "good"),
    "closed": ("UDP port {} is closed to who was not called from here", ""),
}


def netcheck_lines(found: NetcheckStatus) -> list[Line]:
    """Sockets with their NATs, then what the network offers, then the relays, the nearest first."""
    lines: list[Line] = [[("network of ", ""), (found.name, "head")]]
    lines += labelled("IPv6", "yes" if found.ipv6 else "no", "good" if found.ipv6 else "")
    lines += labelled("mapping", ", ".join(found.mapped) or "none: the router maps no port for us", "")
    for socket in found.sockets:
        lines += [[], *_socket_lines(socket)]
    if not found.sockets:
        lines += [[], [("no socket: no uplink is up", "bad")]]
    return [*lines, [], *(line for relay in found.relays for line in _relay_lines(relay))]


def _socket_lines(socket: SocketStatus) -> list[Line]:
    words, style = NATS.get(socket.nat, (socket.nat, ""))
    if socket.nat == "unknown":
        words += " IPv6" if socket.local.startswith("[") else " IPv4"
    lines: list[Line] = [[("socket ", ""), (socket.uplink or "?", "head")]]
    lines += labelled("local", socket.local, "")
    lines += labelled("public", socket.public or "not known", "" if socket.public else "dim")
    lines += labelled("NAT", words, style)
    if socket.outside and socket.open in OPEN:
        words, style = OPEN[socket.open]
        lines += labelled("outside", words.format(socket.outside), style)
    return lines


def _relay_lines(relay: RelayDistance) -> list[Line]:
    lines: list[Line] = [[("relay ", ""), (relay.name, "head"), (f"  rtt {delay(relay.rtt)}", "")]]
    if relay.nearest:
        lines[0].append(("  nearest", "good"))
    return lines if relay.state == "connected" else lines + labelled("state", relay.state, "warn")
