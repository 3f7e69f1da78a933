"""Messages about networks behind clients."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.messages.control import decode
from morphnet.wire.messages.networks import MOST_OFFERED, Advertise, Networks


class NetworksTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """All may be missing."""
        self.assertEqual(decode(b'{"type":"networks"}'), Networks())
        self.assertEqual(decode(b'{"type":"advertise"}'), Advertise())

    def test_refused(self) -> None:
        """What is no network, has bits behind its prefix, or is too many, is malformed."""
        many = [f"10.0.{number}.0/24" for number in range(MOST_OFFERED + 1)]
        for networks in (["laptop"], ["10.0.0.1/8"], ["fe80::1%eth0/64"], [7], "10.0.0.0/8", many):
            self.assertRaises(MalformedFrame, decode, json.dumps({"type": "advertise", "networks": networks}).encode())
