"""Docs and code say the same of `--json`."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.status import as_json
from tests.ops.pictures import HAPPENINGS, MACHINE, NAS, NETCHECK, NODE, PONG, RELAY, SERVER
from tests.status_doc import PAGE, SCHEMA, comments, every, page, schema

AGAIN = (
    "morphnet/status.py or morphnet/ops/counted.py has changed: run `python -m tests.status_doc`, and see who reads it"
)
_FITS = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}


def fits(value: Any, kind: dict[str, Any], defs: dict[str, Any]) -> bool:
    """Whether a value is what a schema of ours says, and has nothing besides."""
    if "$ref" in kind:
        return fits(value, defs[kind["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in kind:
        return any(fits(value, each, defs) for each in kind["anyOf"])
    if kind["type"] == "array":
        return isinstance(value, list) and all(fits(each, kind["items"], defs) for each in value)
    if kind["type"] != "object":
        return isinstance(value, _FITS[kind["type"]])  # type: ignore[arg-type]
    if not isinstance(value, dict):
        return False
    known: dict[str, Any] = kind.get("properties") or dict.fromkeys(value, kind.get("additionalProperties"))
    missing = set(kind.get("required", ())) - value.keys()
    return not missing and value.keys() <= known.keys() and all(fits(value[name], known[name], defs) for name in value)


class StatusDocTests(SynchronousTestCase):
    def test_docs(self) -> None:
        """A field that is new, or has another name, type or meaning, is in the docs, or this fails."""
        self.assertEqual(PAGE.read_text(), page(), AGAIN)
        self.assertEqual(SCHEMA.read_text(), schema(), AGAIN)

    def test_described(self) -> None:
        """Every field says what it is, and every picture."""
        for cls in every():
            words = comments(cls)
            self.assertEqual([each.name for each in dataclasses.fields(cls) if not words.get(each.name)], [], cls)
            self.assertTrue(cls.__doc__)

    def test_schema(self) -> None:
        """What is printed is as the schema says, with nothing that it does not know."""
        defs = json.loads(SCHEMA.read_text())["$defs"]
        for picture in (NODE, SERVER, MACHINE, RELAY, NAS, PONG, NETCHECK, *HAPPENINGS):
            printed = json.loads(json.dumps(as_json(picture)))
            self.assertTrue(fits(printed, defs[type(picture).__name__], defs), picture)
            self.assertFalse(fits({**printed, "mood": "good"}, defs[type(picture).__name__], defs))

    def test_stable(self) -> None:
        """The names that others read since the first version are all there."""
        shown = PAGE.read_text()
        for name in ("headline", "well", "state", "sessions", "paths", "uplink", "rtt", "loss", "share", "sent_bytes"):
            self.assertTrue(re.search(rf"^\| `{name}` \|", shown, re.MULTILINE), name)
