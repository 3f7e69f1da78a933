"""What carries datagrams."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.carrier import DIRECT, PASSAGE, RELAYED, STREAM, is_stream


class CarrierTests(SynchronousTestCase):
    def test_streams(self) -> None:
        """TCP from end to end is a stream, also through a relay; UDP is none, nor a relay's line, the far ones too."""
        self.assertTrue(all(map(is_stream, (STREAM, PASSAGE))))
        self.assertFalse(any(map(is_stream, (DIRECT, RELAYED, RELAYED + 5))))
