"""What two ends agree on: of each quantity the smaller of both wishes, but none so small that it would wear us out."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from morphnet.config.roles import FORMATS, Tuning
from morphnet.wire.messages.control import Welcome

LEAST_REKEY_SECONDS = 1.0
LEAST_REKEY_PACKETS = 256
LEAST_HEARTBEAT = 0.5  # seconds


class Wishes(Protocol):
    """What the other end says in its first message."""

    @property
    def mtu(self) -> int:
        "Inner, bytes; the codec bounds it."

    @property
    def rekey_seconds(self) -> float:
        "A new key at least this often."

    @property
    def rekey_packets(self) -> int:
        "And after so many packets."


def agreed(ours: Tuning, theirs: Wishes, framing: str) -> Tuning:
    """Ours, as far as the other end wants no less."""
    return dataclasses.replace(
        ours,
        framing=framing,
        mtu=min(ours.mtu, theirs.mtu),
        rekey_seconds=min(ours.rekey_seconds, max(theirs.rekey_seconds, LEAST_REKEY_SECONDS)),
        rekey_packets=min(ours.rekey_packets, max(theirs.rekey_packets, LEAST_REKEY_PACKETS)),
    )


def heartbeat(ours: float, theirs: float) -> float:
    """Seconds between heartbeats."""
    return min(ours, max(theirs, LEAST_HEARTBEAT))


def framing_of(welcome: Welcome) -> str:
    """The framing that the server chose, if it is one that we know."""
    return welcome.framing if welcome.framing in FORMATS else "seed"
