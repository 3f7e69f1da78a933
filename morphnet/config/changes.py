"""Two configurations of one role compared, setting by setting."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

Config = TypeVar("Config")


def changed(before: Any, after: Any, table: str = "") -> Iterator[str]:
    """The settings that differ, as "tuning.scheduler"."""
    for each in fields(before):
        old, new = getattr(before, each.name), getattr(after, each.name)
        if is_dataclass(old):
            yield from changed(old, new, f"{table}{each.name}.")
        elif old != new:
            yield f"{table}{each.name}"


def with_these(before: Config, after: Config, keys: Collection[str]) -> Config:
    """What was before, but for these settings."""
    found: dict[str, Any] = {}
    for key in keys:
        name, _, rest = key.partition(".")
        old, new = found.get(name, getattr(before, name)), getattr(after, name)
        found[name] = with_these(old, new, [rest]) if rest else new
    return replace(before, **found)  # type: ignore[type-var]  # any dataclass
