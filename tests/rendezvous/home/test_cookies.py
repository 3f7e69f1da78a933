"""Cookies: who is at the address that he says."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.home.cookies import AGE, Cookies


class CookieTests(SynchronousTestCase):
    def test_good(self) -> None:
        """One is good for its address and attempt, for a while; another secret makes others."""
        cookies = Cookies(b"s" * 32)
        made = cookies.make("192.0.2.1:5", b"tag", 100.0)
        self.assertTrue(cookies.is_good(made, "192.0.2.1:5", b"tag", 100.0 + AGE))
        for where, tag, now in (
            ("192.0.2.1:6", b"tag", 100.0),
            ("192.0.2.1:5", b"gat", 100.0),
            ("192.0.2.1:5", b"tag", 100.0 + 2 * AGE),
        ):
            self.assertFalse(cookies.is_good(made, where, tag, now))
        self.assertFalse(Cookies(b"t" * 32).is_good(made, "192.0.2.1:5", b"tag", 100.0))
