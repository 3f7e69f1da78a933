"""Questions for a port, as they are sent."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError, MalformedFrame
from morphnet.wire.messages.control import decode, encode
from morphnet.wire.messages.trying import Tried, TryPort, datagram_of

TOKEN = "0123456789abcdef" * 2


class TryingTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """Both are read as they were."""
        for said in (TryPort(1024, TOKEN), TryPort(65535, TOKEN), Tried(TOKEN, True), Tried(TOKEN)):
            self.assertEqual(decode(encode(said)[4:]), said)

    def test_nonsense(self) -> None:
        """A low port, a port that is none, and a token of another length are not taken."""
        for port, token in ((1023, TOKEN), (0, TOKEN), (65536, TOKEN), (True, TOKEN), (4000, TOKEN[:-1]), (4000, "")):
            with self.assertRaises(MalformedFrame):
                decode(json.dumps({"type": "try-port", "port": port, "token": token}).encode())
        with self.assertRaises(MalformedFrame):
            decode(json.dumps({"type": "tried", "token": TOKEN.upper()}).encode())
        with self.assertRaises(BugError):
            encode(TryPort(53, TOKEN))

    def test_datagram(self) -> None:
        """It is shorter than what asks for it, another one for each token, and does not have the token in it."""
        sent = datagram_of(TOKEN)
        self.assertEqual(sent.hex(), "8cd8339dda43c70803fe96fb7cc96596")
        self.assertLess(len(sent), len(encode(TryPort(1024, TOKEN))))
        self.assertNotEqual(sent, datagram_of(TOKEN[::-1]))
        self.assertNotEqual(sent, bytes.fromhex(TOKEN))
