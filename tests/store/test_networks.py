"""What a client remembers of networks."""

from __future__ import annotations

import json
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.store.networks import LONGEST, MOST, Networks


class NetworksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_remembered(self) -> None:
        """What was kept is known to the next process; the file is for nobody else."""
        Networks(self.path).keep("wlan0 192.0.2.1 -", "masked")
        self.assertEqual(Networks(self.path).recall("wlan0 192.0.2.1 -"), "masked")
        self.assertEqual(Networks(self.path).recall("wlan0 192.0.2.2 -"), "")
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_bounded(self) -> None:
        """So many are remembered, and the one that was kept longest ago goes; no name is longer than that."""
        networks = Networks(self.path)
        for number in range(MOST + 1):
            networks.keep(f"n{number}", "plain")
            networks.keep("n0", "masked" if number % 2 else "plain")
        networks.keep("n" * (LONGEST + 1), "plain")
        self.assertEqual(len(json.loads(self.path.read_text())), MOST)
        after = Networks(self.path)
        self.assertEqual((after.recall("n1"), after.recall("n0"), after.recall(f"n{MOST}")), ("", "plain", "plain"))

    def test_spoilt(self) -> None:
        """A file that cannot be read, or says something else, is none; it is written anew."""
        for spoilt in (
            b"",
            b"{",
            b"[]",
            b"3",
            b'{"a": 1}',
            b"[" * 100_000,
            b"\xff\xfe",
            json.dumps({"a": "x" * 999}).encode(),
        ):
            self.path.write_bytes(spoilt)
            self.assertEqual(Networks(self.path).recall("a"), "")
        Networks(self.path).keep("a", "plain")
        self.assertEqual(Networks(self.path).recall("a"), "plain")

    def test_link(self) -> None:
        """A link in its place is not followed, neither to read nor to write."""
        other = Path(self.mktemp())
        other.write_text('{"a": "masked"}')
        self.path.symlink_to(other.absolute())
        networks = Networks(self.path)
        self.assertEqual(networks.recall("a"), "")
        networks.keep("a", "plain")
        self.assertEqual(other.read_text(), '{"a": "masked"}')

    def test_refused(self) -> None:
        """Where nothing can be written it is remembered as long as the process lives."""
        networks = Networks(self.path / "no" / "such")
        networks.keep("a", "plain")
        self.assertEqual(networks.recall("a"), "plain")
        self.assertFalse(os.path.lexists(self.path))
