"""Settings that are read further."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning


class TuningTests(SynchronousTestCase):
    def test_compression(self) -> None:
        """Nothing is compressed unless somebody asks for it: beside a secret, lengths tell of it (VORACLE)."""
        self.assertEqual(Tuning().compression, "off")
