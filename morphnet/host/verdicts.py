"""
What a firewall does to a packet, as far as that can be told from its rules: for certain, or perhaps.

A rule matches, does not, or nobody knows: it asks for something that a probe does not say (a port, a mark), or in
words that are not known here. Only what is certain is acted upon: a probe is dropped if no rule before could have
accepted it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

MOST_JUMPS = 16  # chains in one another, as the kernel has it
ESTABLISHED, NEW = 2, 8  # connection states, as nftables and xtables number them


@dataclass(frozen=True, slots=True)
class Probe:
    """A TCP packet that is forwarded."""

    arrives: str  # the device that it comes by
    leaves: str  # and the one that it goes by
    source: str  # its addresses
    to: str
    state: int  # of its connection
    status: int = 0  # likewise, as `ct status` has it

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.to else 4


@dataclass(frozen=True, slots=True)
class Step:
    """A rule, as a probe meets it."""

    matches: bool | None  # None: nobody knows
    verdict: str  # "accept", "drop", "return", "jump", "goto"; "" goes on
    chain: str = ""  # to jump or go to


def judge(steps_of: Callable[[str], Sequence[Step]], chain: str, policy: str) -> str:
    """
    What becomes of a probe in a base chain: "accept", "drop", or "" when it cannot be told.

    :param steps_of: the rules of a chain.
    :param policy: "accept" or "drop": what becomes of that which no rule decides on.
    """
    perhaps = list[str]()

    def walk(name: str, depth: int) -> str:
        for step in steps_of(name) if depth < MOST_JUMPS else ():
            if step.matches is False:
                continue
            verdict = walk(step.chain, depth + 1) if step.verdict in ("jump", "goto") else step.verdict
            if step.matches is None:
                perhaps.append(verdict)
            elif verdict in ("accept", "drop"):
                return verdict
            elif step.verdict in ("return", "goto"):
                return ""
        return ""

    verdict = walk(chain, 0) or policy
    return "" if {"accept", "drop"} - {verdict} & {*perhaps} else verdict
