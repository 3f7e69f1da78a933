"""What the demo shows while it runs: the paths of the tunnel, the traffic in it, and what is being done to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_COLOURS = {"active": "green", "standby": "yellow", "probing": "yellow", "silent": "red"}


@dataclass
class Scene:
    """The latest of everything."""

    action: str = ""
    session: dict[str, Any] = field(default_factory=dict)
    latest: dict[str, dict[str, Any]] = field(default_factory=dict)  # of "ping" and "transfer"

    def say(self, action: str) -> None:
        """This is being done now."""
        self.action = action


def _time(seconds: float | None) -> str:
    return f"{1000 * seconds:.1f} ms" if seconds is not None else "-"


def draw(scene: Scene) -> RenderableType:
    """The scene as a table of paths, with a line of traffic below."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("uplink", "state", "rtt", "jitter", "loss", "share", "rate", "resent"):
        left = name in ("uplink", "state")
        table.add_column(name, justify="left" if left else "right", min_width=6, no_wrap=True)
    for path in scene.session.get("paths", []):
        table.add_row(
            path["uplink"],
            Text(path["state"], _COLOURS.get(path["state"], "")),
            _time(path["rtt"]),
            _time(path["jitter"]),
            f"{path['loss']:.0%}",
            f"{path['share']:.0%}",
            f"{path['rate'] * 8e-6:.1f} Mbit/s",
            str(path["resent_packets"]),
        )
    ping, transfer = scene.latest.get("ping", {}), scene.latest.get("transfer", {})
    traffic = Text()
    if ping:
        traffic.append(f"ping  sent {ping['sent']}  received {ping['received']}  lost {ping['lost_so_far']}")
    if transfer:
        traffic.append(f"     download  {transfer['bytes'] / 1e6:.1f} MB  {transfer['mbit_s']:.1f} Mbit/s")
    return Group(Text(f"> {scene.action}", "bold"), table, traffic)
