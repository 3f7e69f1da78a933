"""How an uplink may be used, in a line."""

from __future__ import annotations

from morphnet.ops.units import part, speed, volume
from morphnet.status import UplinkStatus

PRIORITY = 10  # of who has none


def use_of(uplink: UplinkStatus) -> str:
    """What is unusual about it; "" for nothing."""
    words = []
    if uplink.use != "normal" and uplink.state != "never":
        words.append(f"{uplink.use} ({uplink.use_why})" if uplink.use_why else uplink.use)
    if uplink.metered and uplink.use in ("backup", "last"):
        words.append("metered")
    if uplink.priority != PRIORITY:
        words.append(f"priority {uplink.priority}")
    if uplink.cap_bytes:
        share = part(uplink.carried_bytes / uplink.cap_bytes)
        words.append(
            f"{volume(uplink.carried_bytes)} of {volume(uplink.cap_bytes)} ({share}) since {uplink.carried_since}"
        )
    bounds = [f"{speed(rate)} {way}" for rate, way in ((uplink.rate_up, "up"), (uplink.rate_down, "down")) if rate]
    if bounds:
        words.append(f"at most {', '.join(bounds)}")
    return ", ".join(words)
