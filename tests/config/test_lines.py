"""In which line each key stands."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.lines import KeyPath, key_lines, places
from tests.config.test_file import toml_like

DOCUMENT = '''\
# name = "not here"
name = "a # no comment" # a comment
tuning.mtu = 1400
"quoted.key" = 'it''s'
[manhole]  # a table
listen = """
[tuning]
fake = 1
"""
list = [
  "]", # ]
  { deep = 1 },
]

[ a . "b c" ]
x = { y = { z = 1 }, "w" = [1,
 2] }
literal = \'\'\'
x = 2\'\'\'
date = 1979-05-27T07:32:00Z
escaped = "\\" = ["
[[rows]]
cell = -1.5e3
'''


class KeyLinesTests(SynchronousTestCase):
    def test_document(self) -> None:
        """Comments, tables, dotted and quoted keys, long strings, arrays and inline tables."""
        document = DOCUMENT.replace("'it''s'", "'its'")
        tomllib.loads(document)
        expected: dict[KeyPath, int] = {
            ("name",): 2, ("tuning",): 3, ("tuning", "mtu"): 3, ("quoted.key",): 4, ("manhole",): 5,
            ("manhole", "listen"): 6, ("manhole", "list"): 10, ("manhole", "list", "deep"): 12, ("a",): 15,
            ("a", "b c"): 15, ("a", "b c", "x"): 16, ("a", "b c", "x", "y"): 16, ("a", "b c", "x", "y", "z"): 16,
            ("a", "b c", "x", "w"): 16, ("a", "b c", "literal"): 18, ("a", "b c", "date"): 20,
            ("a", "b c", "escaped"): 21, ("rows",): 22, ("rows", "cell"): 23,
        }  # fmt: skip
        self.assertEqual(key_lines(document), expected)

    @given(st.text() | toml_like)
    def test_any_text(self, text: str) -> None:
        """It ends without an error on any text, and every line it names is there."""
        for line in key_lines(text).values():
            self.assertTrue(1 <= line <= text.count("\n") + 1)

    @given(st.dictionaries(st.text(min_size=1), st.integers(), min_size=1), st.data())
    def test_found(self, values: dict[str, int], data: st.DataObject) -> None:
        """Every key of a valid document is found in its line, whatever stands between."""
        lines, expected = [], {}
        for name, value in values.items():
            lines += data.draw(st.lists(st.sampled_from(["", "# x = 1", "  # [y]"]), max_size=2))
            quoted = "".join(f"\\U{ord(letter):08x}" for letter in name if not 0xD800 <= ord(letter) < 0xE000)
            expected[(tomllib.loads(f'"{quoted}" = 1').popitem()[0],)] = len(lines) + 1
            lines.append(f'"{quoted}" = {value}')
        if len(expected) == len(values):
            self.assertEqual(key_lines("\n".join(lines)), expected)

    def test_places(self) -> None:
        """A value is found whole, whatever it is made of, and so is where a table begins."""
        text = 'a = "x # y" # z\n[t]  # b\nlong = [ 1,\n  2 ] # c\nlast = 5 '
        found = places(text)
        values = {path: text[begin:end] for path, (begin, end) in found.values.items()}
        self.assertEqual(values, {("a",): '"x # y"', ("t", "long"): "[ 1,\n  2 ]", ("t", "last"): "5 "})
        self.assertEqual([(name, text[at:][:3]) for name, at in found.tables], [(("t",), "[t]")])

    def test_deep(self) -> None:
        """Brackets without end do not exhaust the stack."""
        self.assertEqual(key_lines("a = " + "[" * 100_000), {("a",): 1})
