"""
How each uplink may be used now: by the settings, by what the operator said since, and by what it has carried.

The kinds, from the first that carries to the last: normal, metered, backup, last; and never. Backups and last ones may
be metered as well, and come after those of their kind that are not. Then the least priority comes first. What the
operator says (`morphnet uplink`) holds until he says `default`, a restart or not. A cap that is reached holds whatever
he says, until the count begins anew.
"""

from __future__ import annotations

import calendar
import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from morphnet.config.checks import interface
from morphnet.config.uplinks import UplinkPolicy, policy_for
from morphnet.errors import ConfigError
from morphnet.ops.units import volume
from morphnet.store.uplinks import Count, UplinkRecords
from morphnet.tunnel.terms import BACKUP, ENDLESS, LAST, METERED, Terms
from morphnet.wire.messages.terms import Told

NORMAL = "normal"
BEGINS = {NORMAL: 0, "metered": 0, "backup": BACKUP, "last": LAST, "never": LAST}  # the levels of each kind
WORDS = (*BEGINS, "default", "recount")  # that the operator may say of an uplink
WARNED, FULL = 80, 100  # percent of a cap


class Use(NamedTuple):
    """Of one uplink, now."""

    kind: str  # one of BEGINS
    why: str  # "": as the settings say; else who wants it otherwise
    policy: UplinkPolicy
    metered: bool

    @property
    def level(self) -> int:
        """As in Terms."""
        return BEGINS[self.kind] + METERED * self.metered + self.policy.priority

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to say of it."""
        return self.kind == NORMAL and self.policy == replace(UplinkPolicy(self.policy.name))


def begins_on(today: datetime.date, day: int) -> datetime.date:
    """The day on which the month began that `today` is in, if months begin on `day`, or on their last one."""
    year, month = today.year, today.month
    first = today.replace(day=min(day, calendar.monthrange(year, month)[1]))
    if first <= today:
        return first
    year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return datetime.date(year, month, min(day, calendar.monthrange(year, month)[1]))


def ends_on(begins: str, day: int) -> str:
    """The day on which the next month begins."""
    try:
        began = datetime.date.fromisoformat(begins)
    except ValueError:
        return ""
    year, month = (began.year, began.month + 1) if began.month < 12 else (began.year + 1, 1)
    return datetime.date(year, month, min(day, calendar.monthrange(year, month)[1])).isoformat()


class Policies:
    """
    :param tell: (kind, sentence) for the node's history.
    :param wall: Unix seconds.
    """

    def __init__(
        self,
        policies: Sequence[UplinkPolicy] = (),
        records: UplinkRecords | None = None,
        tell: Callable[[str, str], None] = lambda kind, text: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._policies, self.records = policies, records or UplinkRecords()
        self._tell, self._wall = tell, wall
        self._spent = self._spent_now()

    @property
    def any(self) -> bool:
        """Whether there is one, so that the server must know of it."""
        return bool(self._policies or self.records.words)

    def configure(self, policies: Sequence[UplinkPolicy]) -> None:
        """The settings are these now."""
        self._policies = policies

    # -- how an uplink may be used -----------------------------------------------------------------------------------

    def use(self, uplink: str) -> Use:
        """Of that device."""
        policy, word = policy_for(uplink, self._policies), self.records.words.get(uplink, "")
        why = "by the operator" if word else ""
        kind = word or ("never" if policy.never else "backup" if policy.backup else NORMAL)
        metered = policy.metered if word in ("", "backup", "last") else word == "metered"
        if metered and kind == NORMAL:
            kind = "metered"
        if self._is_spent(uplink, policy) and kind != "never":
            return Use(policy.at_cap, f"its cap of {volume(policy.cap)} is reached", policy, metered=True)
        return Use(kind, why, policy, metered)

    def _is_spent(self, uplink: str, policy: UplinkPolicy) -> bool:
        return bool(policy.cap) and self.count(uplink, policy).octets >= policy.cap

    def count(self, uplink: str, policy: UplinkPolicy) -> Count:
        """What it has carried since its month began."""
        return self.records.count(uplink, self._month(policy))

    def _month(self, policy: UplinkPolicy) -> str:
        """The day on which this one began."""
        today = datetime.datetime.fromtimestamp(self._wall(), datetime.UTC).date()
        return begins_on(today, policy.cap_day).isoformat()

    def is_never(self, uplink: str) -> bool:
        """Whether it is to be left alone."""
        return self.use(uplink).kind == "never"

    def terms(self, uplink: str) -> Terms:
        """On which this end may send by its paths."""
        use = self.use(uplink)
        return Terms(use.level, use.metered, use.policy.rate_up or ENDLESS)

    def told(self, path: int, uplink: str) -> Told:
        """What the server is told of such a path."""
        use = self.use(uplink)
        return Told(path, use.level, use.metered, round(use.policy.rate_down))

    # -- what changes it ---------------------------------------------------------------------------------------------

    def say(self, uplink: str, word: str) -> str:
        """
        The operator has said how it is to be used; what holds now, in words.

        :raises ConfigError: there is no such word, or no device can be called so.
        """
        if wrong := interface(uplink):
            raise ConfigError(f"an uplink {wrong}")
        if word not in WORDS:
            raise ConfigError(f"an uplink cannot be {word[:20]!r}: say one of {', '.join(WORDS)}")
        if word == "recount":
            self.records.counts.pop(uplink, None)
            self.records.save()
            return f"what {uplink} carries is counted from 0"
        self.records.wish(uplink, "" if word == "default" else word)
        use = self.use(uplink)
        more = f" ({use.why})" if use.why and use.kind != word else ""
        text = f"uplink {uplink} is {use.kind} now{more}"
        self._tell("uplink-use", text)
        return text

    def carried(self, amounts: Mapping[str, int]) -> bool:
        """
        So many bytes were carried by each uplink since the last time.

        :returns: whether one may be used in another way now.
        """
        for uplink in dict.fromkeys((*self.records.counts, *amounts)):
            policy = policy_for(uplink, self._policies)
            if policy.cap:
                self._add(uplink, policy, amounts.get(uplink, 0))
        before, self._spent = self._spent, self._spent_now()
        for uplink in sorted(before - self._spent):
            self._tell("uplink-cap", f"the cap of {uplink} does not hold it back any more")
        return before != self._spent

    def _spent_now(self) -> frozenset[str]:
        """The uplinks whose cap is reached."""
        counted = list(self.records.counts)
        return frozenset(uplink for uplink in counted if self._is_spent(uplink, policy_for(uplink, self._policies)))

    def _add(self, uplink: str, policy: UplinkPolicy, octets: int) -> None:
        count = self.records.add(uplink, self._month(policy), octets) if octets else self.count(uplink, policy)
        percent = 100 * count.octets // policy.cap
        due = FULL if percent >= FULL else WARNED if percent >= WARNED else 0
        if due <= count.told:
            return
        count.told = due
        ends = ends_on(count.begins, policy.cap_day)
        if due == FULL:
            then = "used only when nothing else works" if policy.at_cap == "last" else "not used any more"
            self._tell(
                "uplink-cap", f"the cap of {uplink}, {volume(policy.cap)}, is reached: it is {then} until {ends}"
            )
        else:
            self._tell("uplink-warning", f"{uplink} has carried {percent} % of its {volume(policy.cap)} until {ends}")
        self.records.save()

    def warnings(self) -> tuple[str, ...]:
        """What the operator should know: a sentence for each cap that is reached or nearly so."""
        found = []
        for uplink, count in self.records.counts.items():
            policy = policy_for(uplink, self._policies)
            percent = 100 * count.octets // policy.cap if policy.cap else 0
            if percent >= WARNED:
                ends = ends_on(count.begins, policy.cap_day)
                found.append(f"{uplink} has carried {percent} % of its cap of {volume(policy.cap)}, until {ends}")
        return tuple(found)
