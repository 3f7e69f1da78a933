"""
What `--json` says, made from the dataclasses in `morphnet.status`: docs/status.md, and a JSON Schema beside it.

Types come from the type hints, the words from docstrings and from the comment behind each field. After a change of them
run `python -m tests.status_doc`, and look at what has changed: others read what was there before.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from morphnet.levels import LEVELS
from morphnet.ops.counted import OF_PROCESS, OF_SESSION, Counted
from morphnet.status import Happening, NetcheckStatus, NodeStatus, PeerStatus, Pong

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, SCHEMA = DOCS / "status.md", DOCS / "status.schema.json"
SHOWN = (NodeStatus, Happening, PeerStatus, Pong, NetcheckStatus)  # what commands print
_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false"}
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}

INTRO = """\
# What `--json` says

Made from `morphnet/status.py` by `python -m tests.status_doc`; a test holds them together. [The same as a JSON
Schema](status.schema.json).

| command | prints |
|---|---|
| `morphnet status --json` | one [NodeStatus](#nodestatus); with `--watch` one a line, each second |
| `morphnet events --json` | one [Happening](#happening) a line |
| `morphnet why PEER --json` | one [PeerStatus](#peerstatus) |
| `morphnet ping PEER --json` | one [Pong](#pong) a line |
| `morphnet netcheck --json` | one [NetcheckStatus](#netcheckstatus) |
| `morphnet pki list --json` | a list of objects: `name`, `kind`, `serial` (hex), `expires` (ISO 8601), `state` |
| `morphnet bench --json` | an object a line: `case`, `unit`, `better`, `tunnel`, `value`, `rounds`, `ratio` (to ours) |

This is what can be relied on:

- A name keeps its meaning, its type and its unit. New ones may come: pass over what you do not know.
- Times are Unix seconds, durations are seconds, sizes are bytes, rates are bytes a second, shares are 0 .. 1. What is
  not known yet is `null`, a text that says nothing is empty.
- What stands in `counters` and `totals` never falls while a process runs: what a session, a path, a socket or a peer
  had counted stays in the sums when it ends. A name that is missing was never counted. What goes up and down is in
  `levels`.
- `counters` of a session begin with it (`since`), and so do those of a peer, which are its session's; those of a
  process begin with `started_at`; `totals` has the sums over all sessions since then.
- A field that is marked "may be missing" came later than others: a process of before does not say it.

Exit codes of `morphnet status`: 0, all is well; 3, a process runs and does not do what it is there for; 1, nothing
answers.
"""


def comments(cls: type[Any]) -> dict[str, str]:
    """What stands behind each field of a dataclass."""
    lines = inspect.getsource(cls).splitlines()
    (tree,) = ast.parse("\n".join(lines)).body
    assert isinstance(tree, ast.ClassDef)
    fields = [each for each in tree.body if isinstance(each, ast.AnnAssign)]
    behind = {ast.unparse(each.target): lines[each.lineno - 1].partition("  # ")[2] for each in fields}
    return {name: text.replace("|", "\\|") for name, text in behind.items()}


def parts(cls: type[Any]) -> Iterator[type[Any]]:
    """The dataclass and those that it is made of."""
    yield cls
    for kind in get_type_hints(cls).values():
        for inner in (kind, *get_args(kind)):
            if dataclasses.is_dataclass(inner):
                yield from parts(cast("type[Any]", inner))


def every() -> list[type[Any]]:
    """All dataclasses that are printed."""
    return list(dict.fromkeys(part for cls in SHOWN for part in parts(cls)))


def may_be_missing(each: dataclasses.Field[Any]) -> bool:
    """Whether it has a default."""
    return each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING


def in_words(kind: Any) -> str:
    """A type, for people."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return f"{in_words(inner[0])}, or null"
    if origin is tuple:
        return f"list of {in_words(inner[0])}"
    if origin is Mapping:
        return f"object: name to {in_words(inner[1])}"
    return _NAMES[kind] if kind in _NAMES else f"[{kind.__name__}](#{kind.__name__.lower()})"


def in_schema(kind: Any) -> dict[str, Any]:
    """A type, for machines."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return {"anyOf": [in_schema(inner[0]), {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": in_schema(inner[0])}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": in_schema(inner[1])}
    return {"type": _TYPES[kind]} if kind in _TYPES else {"$ref": f"#/$defs/{kind.__name__}"}


def page() -> str:
    """docs/status.md."""
    sections = [INTRO]
    for cls in every():
        hints, words = get_type_hints(cls), comments(cls)
        rows = [f"## {cls.__name__}\n", inspect.getdoc(cls) or "", "", "| name | type | meaning |", "|---|---|---|"]
        for each in dataclasses.fields(cls):
            missing = " (may be missing)" if may_be_missing(each) else ""
            rows.append(f"| `{each.name}` | {in_words(hints[each.name])}{missing} | {words[each.name]} |")
        sections.append("\n".join(rows) + "\n")
    sections.append(_counted("What sessions count", "In `sessions[].counters`, and summed in `totals`.", OF_SESSION))
    sections.append(_counted("What processes count", "In `counters`; of a role, what concerns it.", OF_PROCESS))
    return "\n".join(sections)


def _counted(title: str, where: str, counted: Counted) -> str:
    rows = [f"## {title}\n", f"{where} Those marked *level* go up and down, and are in `levels`.", ""]
    rows += ["| name | unit | meaning |", "|---|---|---|"]
    for name, (unit, meaning) in sorted(counted.items()):
        rows.append(f"| `{name}` | {unit}{', *level*' if name in LEVELS else ''} | {meaning} |")
    return "\n".join(rows) + "\n"


def schema() -> str:
    """docs/status.schema.json."""
    defs = {}
    for cls in every():
        hints, words = get_type_hints(cls), comments(cls)
        each = {
            name: {**in_schema(kind), "description": words[name].replace("\\|", "|")} for name, kind in hints.items()
        }
        needed = [field.name for field in dataclasses.fields(cls) if not may_be_missing(field)]
        text = inspect.getdoc(cls) or ""
        defs[cls.__name__] = {"type": "object", "description": text, "properties": each, "required": needed}
    root = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "morphnet status --json",
        "$ref": "#/$defs/NodeStatus",
        "$defs": defs,
    }
    return json.dumps(root, indent=1) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    SCHEMA.write_text(schema())
