"""Words to compare aloud."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.wordlist import WORDS, spoken


class WordlistTests(SynchronousTestCase):
    def test_words(self) -> None:
        """256 different words, short and plain."""
        self.assertEqual(len(set(WORDS)), 256)
        self.assertEqual(len(WORDS), 256)
        self.assertEqual([word for word in WORDS if not re.fullmatch("[a-z]{3,7}", word)], [])

    def test_spoken(self) -> None:
        """One word for each byte, in the order of the list."""
        self.assertEqual(spoken(bytes([0, 255, 0])), (WORDS[0], WORDS[255], WORDS[0]))
        self.assertEqual(spoken(b""), ())
