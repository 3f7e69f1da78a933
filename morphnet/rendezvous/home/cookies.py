"""
Cookies: who brings one back is at the address that it says. Nothing is remembered for whoever got one.

Source: RFC 9147 section 5.1 has the idea.
"""

from __future__ import annotations

import hmac

from morphnet.wire.messages.home.datagrams import COOKIE_SIZE

AGE = 15.0  # seconds that one is good, and up to twice that


class Cookies:
    """
    Gives them out and knows them again.

    :param secret: 32 bytes that nobody else knows, fresh at every start.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, where: str, tag: bytes, now: float) -> bytes:
        """
        The cookie for one attempt.

        :param where: address and port, as a text.
        :param now: seconds, never back.
        """
        return self._of(where, tag, int(now // AGE))

    def is_good(self, cookie: bytes, where: str, tag: bytes, now: float) -> bool:
        """Whether it was made for this attempt, and not long ago."""
        period = int(now // AGE)
        return any(hmac.compare_digest(cookie, self._of(where, tag, each)) for each in (period, period - 1))

    def _of(self, where: str, tag: bytes, period: int) -> bytes:
        said = f"{where} {period} ".encode() + tag
        return hmac.digest(self._secret, said, "sha256")[:COOKIE_SIZE]
