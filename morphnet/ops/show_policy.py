"""Who may what, as lines of text: the policy in force, and whom it has refused."""

from __future__ import annotations

from datetime import UTC, datetime

from morphnet.ops.page import WIDTH, Line, labelled
from morphnet.policystatus import PolicyStatus

_LATEST = 253402300799  # Unix seconds: the end of the year 9999
_SHOWN = 8  # pairs; `--json` has them all


def published_at(sequence: int) -> str:
    """When about a policy of that sequence was published."""
    return f"{datetime.fromtimestamp(max(0, min(sequence, _LATEST)), UTC):%Y-%m-%d %H:%M:%S} UTC"


def policy_lines(policy: PolicyStatus | None, width: int = WIDTH) -> list[Line]:
    """One line for it, and one for each pair of which most was refused; nothing where there is none."""
    if policy is None:
        return []
    if not policy.enforced:
        return labelled("policy", f"withdrawn {published_at(policy.sequence)}", "dim", width)
    count = "1 rule" if policy.rules == 1 else f"{policy.rules} rules"
    lines = labelled("policy", f"{count}, published {published_at(policy.sequence)}", "", width)
    most = sorted(policy.refused, key=lambda each: -each.packets)
    for each in most[:_SHOWN]:
        text = f"{each.source} to {each.target} ({each.what}): {each.packets} packet{'s' * (each.packets != 1)}"
        lines += labelled("refused", text, "warn", width)
    if len(most) > _SHOWN:
        lines += labelled("refused", f"and {len(most) - _SHOWN} pairs more: `morphnet status --json`", "dim", width)
    for whose, packets in (("by phones", policy.of_phones), ("to phones", policy.for_phones)):
        if packets:
            lines += labelled("refused", f"{whose}: {packets} packet{'s' * (packets != 1)}", "warn", width)
    return lines
