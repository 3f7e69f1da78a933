"""Every parser is fuzzed, and every input that was kept is still read as it must be."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests import house
from tests.fuzz.corpus import LONGEST, MOST, kept
from tests.fuzz.target import Target
from tests.fuzz.targets import targets

RAISED = (":raises MalformedFrame", ":raises Forged")
# Parsers that no row names, each with its reason.
WITHOUT: dict[str, str] = {
    "tunnel.fragments.cut_fragments": "cuts what is ours",
    "wire.formats.Format.unpack": "a Protocol",
}


def _parsers() -> Iterator[str]:
    """Functions of `wire` and `tunnel` that say of themselves that they raise MalformedFrame or Forged."""
    for name, module in house.read_modules("morphnet").items():
        if not module.within("wire", "tunnel"):
            continue
        for node in module.tree.body:
            inside, found = (f"{node.name}.", node.body) if isinstance(node, ast.ClassDef) else ("", [node])
            for each in found:
                if isinstance(each, ast.FunctionDef) and any(
                    raised in (ast.get_docstring(each) or "") for raised in RAISED
                ):
                    yield f"{name}.{inside}{each.name}"


class TargetTests(SynchronousTestCase):
    """The table of targets."""

    def _read(self, target: Target, data: bytes) -> bool:
        """Whether the parser took it; anything but what is declared is a failure."""
        try:
            target.read(data)
        except target.declared:
            return False
        return True

    def test_every_parser_has_a_row(self) -> None:
        """A parser that nobody fuzzes is found."""
        named = {each for row in targets().values() for each in row.covers}
        missing = [each for each in _parsers() if each not in named and each not in WITHOUT]
        self.assertEqual(missing, [])

    def test_seeds(self) -> None:
        """Good examples are taken, so that a row reaches its parser."""
        for name, target in targets().items():
            for seed in target.seeds:
                self.assertTrue(self._read(target, seed), f"{name}: {seed!r}")

    def test_kept(self) -> None:
        """What a fuzzer once found to be of use raises nothing that is not declared."""
        for name, target in targets().items():
            for each in kept(name):
                self._read(target, each)

    def test_nothing(self) -> None:
        """No bytes at all are no trouble."""
        for target in targets().values():
            self._read(target, b"")

    def test_small(self) -> None:
        """What is kept stays small, and belongs to a row."""
        for name in targets():
            self.assertLessEqual(len(kept(name)), MOST)
            self.assertTrue(all(len(each) <= LONGEST for each in kept(name)))
