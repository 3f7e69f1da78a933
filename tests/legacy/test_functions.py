"""The eleven functions of the original."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.legacy.functions import COMBINATIONS, COUNT, Functions, combination, inverse
from tests.legacy.vectors import VECTORS

FUNCTIONS = Functions(VECTORS["key"], bytes(VECTORS["table"]), VECTORS["randomValue"])
SIZES = (1, 2, 3, 7, 8, 9, 16, 92, 148, 255, 256, 257, 1404, 1423)


class FunctionTests(SynchronousTestCase):
    """Each of them, alone."""

    def test_vectors(self) -> None:
        """All 55 are met; what the original makes of an odd half is not what it was, and ours is."""
        wrong = 0
        for vector in VECTORS["functions"]:
            text, number = bytes.fromhex(vector["in"]), (vector["i"],)
            hidden = FUNCTIONS.apply(number, text, len(text))
            self.assertEqual(hidden.hex(), vector["obf"], vector["name"])
            self.assertEqual(FUNCTIONS.undo(number, hidden, len(text)), text, vector["name"])
            wrong += vector["deobf_of_obf"] != vector["in"]
        self.assertEqual((len(VECTORS["functions"]), wrong > 0), (55, True))

    def test_every_size(self) -> None:
        """Each function is undone for each size, and keeps it."""
        for number in range(COUNT):
            for size in SIZES:
                text = bytes(at * 7 & 255 for at in range(size))
                hidden = FUNCTIONS.apply((number,), text, size)
                self.assertEqual(len(hidden), size)
                self.assertEqual(FUNCTIONS.undo((number,), hidden, size), text, (number, size))

    def test_runs(self) -> None:
        """A run comes out like its texts one by one."""
        for number in range(COUNT):
            for size in SIZES:
                texts = [bytes((at * 7 + each) & 255 for at in range(size)) for each in range(5)]
                for step in (FUNCTIONS.apply, FUNCTIONS.undo):
                    singly = b"".join(step((number,), text, size) for text in texts)
                    self.assertEqual(step((number,), b"".join(texts), size), singly, (number, size))

    def test_nothing(self) -> None:
        """Of nothing all make nothing."""
        everything = tuple(range(COUNT))
        self.assertEqual(FUNCTIONS.undo(everything, FUNCTIONS.apply(everything, b"", 0), 0), b"")

    def test_combinations(self) -> None:
        """They are counted as the original counts them."""
        known = VECTORS["layer3_combos"]
        self.assertEqual(COMBINATIONS[3], known["count"])
        self.assertEqual([list(combination(3, index)) for index in range(5)], known["first5"])
        self.assertEqual((list(combination(3, 500)), list(combination(3, 989))), (known["idx500"], known["last"]))
        for layers, count in COMBINATIONS.items():
            self.assertEqual(combination(layers, count - 1), tuple(range(COUNT))[::-1][:layers])

    def test_inverse(self) -> None:
        """A table and its inverse undo one another."""
        table = bytes(VECTORS["table"])
        self.assertEqual(table.translate(inverse(table)), bytes(range(256)))
