"""The answers that take their time, as text."""

from __future__ import annotations

from morphnet.errors import BugError
from morphnet.ops.netcheck import netcheck_lines
from morphnet.ops.page import Line
from morphnet.ops.show_networks import networks_lines
from morphnet.ops.units import delay
from morphnet.ops.why import why_lines
from morphnet.status import MoveStatus, NetcheckStatus, NetworksStatus, PeerStatus, Pong


def picture_lines(picture: object, now: float) -> list[Line]:
    """
    What a verb has answered with.

    :param now: Unix seconds.
    :raises BugError: there is no text for that.
    """
    match picture:
        case NetcheckStatus():
            return netcheck_lines(picture)
        case PeerStatus():
            return why_lines(picture, now)
        case NetworksStatus():
            return networks_lines(picture.networks) or [[("no network is behind a client", "dim")]]
        case MoveStatus():
            return move_lines(picture)
        case Pong():
            return [[(pong_text(picture), "")]]
    raise BugError(f"no text for {type(picture).__name__}")


def move_lines(move: MoveStatus) -> list[Line]:
    """What came of a move of homes."""
    return [
        [(f"{len(move.moved)} moved to {move.to}", "good" if move.moved else "")],
        *([(f"stayed: {each}", "warn")] for each in move.stayed),
    ]


def pong_text(pong: Pong, within: float | None = None) -> str:
    """
    What came of one ping, in a line.

    :param within: seconds that were waited for it, if they are to be told.
    """
    who = f"{pong.name} ({pong.inner[0]})" if pong.inner else pong.name
    if pong.way == "none":
        return f"no way to {who} now"
    if pong.rtt is None:
        in_time = f" within {within:g} s" if within is not None else ""
        return f"no answer from {who} via {pong.way} {pong.remote}{in_time}"
    return f"pong from {who} via {pong.way} {pong.remote} in {delay(pong.rtt)}"
