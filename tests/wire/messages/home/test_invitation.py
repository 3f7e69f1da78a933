"""What an invitation says."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.wire.messages.home.calls import to_text
from morphnet.wire.messages.home.invitation import START, Invitation

GOOD = Invitation("c.example:3478", to_text(bytes(32)), "https://c.example", "token")


class InvitationTests(SynchronousTestCase):
    def test_line(self) -> None:
        """It is read as it was written; what is none is told."""
        self.assertEqual(Invitation.read(GOOD.line()), GOOD)
        for wrong in ("", "morphnet1:abc", "morphnethome1:abc", "morphnethome1:e30", GOOD.line()[:-4]):
            self.assertRaises(ConfigError, Invitation.read, wrong)
        self.assertRaises(ConfigError, Invitation.read, START + to_text(b"[" * 9999))

    def test_forms(self) -> None:
        """Each field has its form: what a coordinator says of another one ends in a file and on a terminal."""
        for wrong in ({"coordinator": "a b:1"}, {"key": "x"}, {"page": "https://c\n"}, {"token": "/"}):
            self.assertRaises(ConfigError, Invitation.read, replace(GOOD, **wrong).line())

    def test_same(self) -> None:
        """Address and key say which coordinator it is, whatever the token and the page."""
        self.assertTrue(GOOD.is_same(replace(GOOD, token="", page="")))
        self.assertFalse(GOOD.is_same(replace(GOOD, key=to_text(b"k" * 32))))
