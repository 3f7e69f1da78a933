"""Whatever is counted has its line in the docs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import morphnet
from morphnet.levels import LEVELS
from morphnet.ops.counted import OF_PROCESS, OF_SESSION

HOME = Path(morphnet.__file__).parent
ELSEWHERE = ("lab", "traversal")  # what is counted there is in no status
PREFIXED = {"full", "half_open", "limited", "evicted", "no_knock"}  # by net/admission, see OF_PROCESS


def counted(tree: ast.AST) -> Iterator[str]:
    """Names that a module counts by, as far as they are written out."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=ast.Attribute(attr=name) | ast.Name(id=name)) if name.endswith("counts"):
                yield from texts(node.slice)
            case ast.Call(func=ast.Attribute(attr="count", value=ast.Attribute(attr="history"))):
                yield from texts(node.args[0])
            case ast.FunctionDef(name="counters" | "total_of"):
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Dict):
                        yield from (name for key in inner.keys if key is not None for name in texts(key))
                    if isinstance(inner, ast.Call):
                        yield from (each.arg for each in inner.keywords if each.arg is not None)


def texts(node: ast.AST) -> list[str]:
    """Words in an expression."""
    found = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
    return [each for each in found if isinstance(each, str) and each != "frames_" and each != "failed"]


class CountedTests(SynchronousTestCase):
    def test_every_one(self) -> None:
        """No counter is in the code and not in the tables, nor in the tables and not in the code."""
        files = [each for each in HOME.rglob("*.py") if each.relative_to(HOME).parts[0] not in ELSEWHERE]
        found = {name for file in files for name in counted(ast.parse(file.read_text()))} - PREFIXED
        known = OF_PROCESS.keys() | OF_SESSION.keys()
        self.assertEqual(found - known, set())
        stems = (
            "dropped_EIO",
            "error_ENETUNREACH",
            "frames_EIO",
            "forged",
            "no_key",
            "no_door",
            "queued_bytes",
        )  # whose names are made
        made = {name for name in known if name in stems or name.startswith(("control_", "lines_", "streams_"))}
        self.assertEqual(known - found - made, set())

    def test_levels(self) -> None:
        """What goes up and down is among them."""
        self.assertEqual(LEVELS - OF_PROCESS.keys() - OF_SESSION.keys(), set())
