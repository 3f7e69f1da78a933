"""Counters, in words."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.counted import OF_PROCESS, OF_SESSION
from morphnet.ops.page import LEAST, WIDTH
from morphnet.ops.show import plain
from morphnet.ops.show_counts import meaning, of_process, of_session

COUNTED = {"forged": 12, "sent_bytes": 9_000, "rekeys": 3, "gaps": 0, "queued_bytes": 4_000, "of_tomorrow": 1}
SHOWN = """\
  counts  forged 12: datagrams whose tag is not true under any key
          queued_bytes 3.91 KiB: bytes that wait for room on a path
          of_tomorrow 1"""
NARROW = """\
  counts  forged 12: datagrams whose tag
            is not true under any key
          queued_bytes 3.91 KiB: bytes
            that wait for room on a path
          of_tomorrow 1"""
COUNTS = st.dictionaries(st.sampled_from([*OF_PROCESS, *OF_SESSION, "of_tomorrow"]), st.integers(0, 1 << 63))


class CountsTests(SynchronousTestCase):
    def test_words(self) -> None:
        """Each has its meaning behind it; what is ordinary, and what never happened, is left out."""
        self.assertEqual(plain(of_session(COUNTED)), SHOWN)
        self.assertEqual(plain(of_session(COUNTED, 40)), NARROW)
        self.assertEqual(of_session({"sent_bytes": 5, "gaps": 0}), [])

    def test_same_name(self) -> None:
        """Of a process a name may mean something else than of a session."""
        self.assertIn("or packets that are none", plain(of_process({"malformed": 2})))
        self.assertIn("that are true, and no packet or frame", plain(of_session({"malformed": 2})))

    def test_errors(self) -> None:
        """What is counted by the name of an error is explained, whichever error that is."""
        self.assertEqual(meaning("dropped_ENODEV", OF_PROCESS), meaning("dropped_EIO", OF_PROCESS))
        self.assertIn("calls to the kernel that failed", plain(of_process({"error_EHOSTUNREACH": 3})))
        self.assertEqual(meaning("dropped_full", OF_PROCESS), "envelopes for a node whose line was full")

    @given(COUNTS, st.integers(LEAST, WIDTH))
    def test_every_one(self, counted: dict[str, int], width: int) -> None:
        """Whatever was counted fits, and no word is left out."""
        for shows, known in ((of_process, OF_PROCESS), (of_session, OF_SESSION)):
            wide, narrow = plain(shows(counted)), plain(shows(counted, width))
            self.assertLessEqual(max(map(len, narrow.splitlines()), default=0), width)
            self.assertEqual(narrow.split(), wide.split())
            for name in {name for name in counted if re.search(rf"(?<!\S){name} \d", wide)}:
                self.assertIn(meaning(name, known), " ".join(wide.split()))
