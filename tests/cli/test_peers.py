"""What `morphnet ping` prints; the commands themselves are tried in tests/lab."""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli.peers import summary
from morphnet.ops.picture import pong_text
from tests.ops.pictures import PONG

RELAYED = dataclasses.replace(PONG, way="relay", remote="meet.example", rtt=0.081)
SILENT = dataclasses.replace(PONG, rtt=None)


class PingTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """An answer tells by which way it came; silence tells by which way none came."""
        for pong, text in (
            (PONG, "pong from nas (10.73.0.3) via direct 198.51.100.6:41193 in 42.1 ms"),
            (RELAYED, "pong from nas (10.73.0.3) via relay meet.example in 81.0 ms"),
            (SILENT, "no answer from nas (10.73.0.3) via direct 198.51.100.6:41193 within 2 s"),
            (dataclasses.replace(SILENT, way="none", inner=()), "no way to nas now"),
        ):
            self.assertEqual(pong_text(pong, 2.0), text)

    def test_summary(self) -> None:
        """How many, by which ways, and how long they took."""
        told = "3 sent, 2 answered (1 relay, 1 direct); least 42.1 ms, mean 61.5 ms, most 81.0 ms"
        self.assertEqual(summary([RELAYED, SILENT, PONG]), told)
        self.assertEqual(summary([SILENT]), "1 sent, 0 answered")
