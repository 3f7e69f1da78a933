"""What a server advises, as it is sent."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError, MalformedFrame
from morphnet.wire.messages.advice import Advice
from morphnet.wire.messages.control import decode, encode

FULL = Advice(("10.73.0.1", "fd73::1"), True, ("corp.example", "_tcp.lan"), ("relay.example:443", "[2001:db8::1]:443"))


class AdviceTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """It is read as it was; one that says nothing too."""
        longest = Advice(domains=(".".join(["a"] * 127), "0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"))
        for said in (FULL, longest, Advice()):
            self.assertEqual(decode(encode(said)[4:]), said)

    def test_nonsense(self) -> None:
        """What is no address, domain or place is not taken."""
        for key, value in (
            ("dns", ["x"]),
            ("dns", ["10.73.0.1\nnameserver 6.6.6.6"]),
            ("domains", ["Corp.example"]),
            ("domains", ["corp.example\n"]),
            ("domains", [""]),
            ("domains", ["a..b"]),
            ("domains", ["a" * 64]),
            ("domains", [".".join(["a"] * 128)]),
            ("relays", ["a b"]),
            ("names", 1),
        ):
            with self.assertRaises(MalformedFrame):
                decode(json.dumps({"type": "advice", key: value}).encode())
        with self.assertRaises(BugError):
            encode(Advice(domains=("x",) * 33))
