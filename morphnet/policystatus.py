"""A picture of the network's policy, as a process lives by it; see status."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RefusedStatus:
    """Packets that the network's policy does not let in here, of one pair of machines."""

    source: str  # a machine's name, "gateway", "world", or an address that is nobody's
    target: str  # likewise
    what: str  # that the first of them went to: "80/tcp", "icmp"
    packets: int  # since this policy is in force; one that was joined from several counts once


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """Who may what, as this process lives by it."""

    sequence: int  # of a later one it is higher; about the Unix seconds at which it was published
    rules: int  # that it has
    enforced: bool  # false: it was withdrawn, and everybody may everything
    refused: tuple[RefusedStatus, ...]  # at most 256 pairs, the first ones first
    of_phones: int = 0  # packets of those who come by WireGuard, which are judged by nftables; since the start
    for_phones: int = 0  # likewise, for them
