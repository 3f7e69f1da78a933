"""Bodies of the original."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.legacy.functions import COMBINATIONS, DIVIDE, combination
from morphnet.legacy.obfuscator import Obfuscator, Parameters
from tests.lab.original import Original
from tests.legacy.vectors import VECTORS

PARAMETERS = Parameters(VECTORS["key"], 3, 8, bytes(VECTORS["table"]), VECTORS["randomValue"])


def obfuscator(layers: int = 3, padding: int = 8, seed: int = 1) -> Obfuscator:
    """One whose chance comes from a seed."""
    return Obfuscator(replace(PARAMETERS, layers=layers, padding=padding), random.Random(seed).randbytes)


class BodyTests(SynchronousTestCase):
    """There and back."""

    def test_vectors(self) -> None:
        """All 100 packets of the original are read; the ones that it spoils itself too."""
        spoilt = 0
        for packet in VECTORS["packets"]:
            (text,) = obfuscator(packet["layer"]).show([bytes.fromhex(packet["packet"])])
            assert text is not None
            self.assertEqual(text.hex(), packet["plain"])
            spoilt += packet["deobf"] != packet["plain"]
        self.assertEqual((len(VECTORS["packets"]), spoilt), (100, 4))

    def test_original(self) -> None:
        """With the original, which undoes one function wrongly: every size comes whole, in both directions."""
        for layers in (1, 2, 3, 4):
            theirs = Original(random.Random(layers), layers=layers)
            parameters = Parameters(theirs.key, layers, 8, bytes(theirs.table), theirs.added)
            mine = Obfuscator(parameters, random.Random(layers).randbytes)
            for size in (*range(1, 40), 92, 149):
                text = theirs.chance.randbytes(size)
                self.assertEqual(mine.show([theirs.hide(text)]), [text])
                self.assertEqual(theirs.show(mine.hide(text, size)[0]), text)

    def test_runs(self) -> None:
        """Runs of all sizes come back whole; heads differ, and no odd one has the function that spoils it."""
        for layers in (1, 2, 3, 4):
            mine, theirs = obfuscator(layers), obfuscator(layers, seed=2)
            for size in (1, 2, 3, 32, 92, 148, 1423, 1424):
                texts = [
                    bytes([number, *range(1, size)][:size] if size < 256 else [number] * size) for number in range(9)
                ]
                bodies = mine.hide(b"".join(texts), size)
                self.assertEqual(theirs.show(bodies), texts)
                self.assertTrue(all(size + 4 <= len(body) <= size + 11 for body in bodies))
                used = combination(layers, bodies[0][0] * bodies[0][1] % COMBINATIONS[layers])
                self.assertFalse(size % 2 and DIVIDE in used)
                self.assertEqual(len({body[0] * body[1] % COMBINATIONS[layers] for body in bodies}), 1)
                if layers == 1:
                    self.assertGreater(len({body[:2] for body in bodies}), 1)

    def test_mixed(self) -> None:
        """What comes in one go need not be alike; what is no body is None in its place."""
        mine = obfuscator()
        first, second, third = (mine.hide(text, len(text))[0] for text in (b"one", b"three", b"sixsix"))
        no_padding, too_much = first[:2] + b"\x00" + first[3:], first[:2] + b"\x09" + b"x" * 20
        cut = first[:2] + b"\x08" + first[3:6]
        shown = mine.show([second, b"", no_padding, first, too_much, cut, third])
        self.assertEqual(shown, [b"three", None, None, b"one", None, None, b"sixsix"])

    def test_padding(self) -> None:
        """There is as much as the session allows, of every length."""
        mine = obfuscator(padding=3)
        runs = [mine.hide(b"x" * 4, 1) for _ in range(100)]
        self.assertEqual({body[2] for bodies in runs for body in bodies}, {1, 2, 3})
        self.assertTrue(all(len({len(body) for body in bodies}) == 1 for bodies in runs))

    def test_refused(self) -> None:
        """Parameters out of range, and a table that is no permutation."""
        for wrong in (
            {"key": 256},
            {"key": -1},
            {"layers": 0},
            {"layers": 5},
            {"padding": 0},
            {"padding": 9},
            {"added": 256},
            {"table": bytes(256)},
            {"table": bytes(range(255))},
        ):
            with self.assertRaises(MalformedFrame):
                replace(PARAMETERS, **wrong)

    @given(some.binary(max_size=80), some.integers(1, 4))
    def test_anything(self, body: bytes, layers: int) -> None:
        """Whatever comes is a text, or None."""
        (text,) = obfuscator(layers).show([body])
        self.assertTrue(text is None or len(text) == len(body) - 3 - body[2])

    @given(some.binary(min_size=1, max_size=80), some.integers(1, 4), some.integers(1, 8), some.integers(0, 999))
    def test_back(self, text: bytes, layers: int, padding: int, seed: int) -> None:
        """Whatever is hidden comes back."""
        mine = obfuscator(layers, padding, seed)
        self.assertEqual(mine.show(mine.hide(text, len(text))), [text])
