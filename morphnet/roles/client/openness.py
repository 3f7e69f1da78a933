"""
Whether a socket of ours is reached from outside: the server sends it one datagram, from where it never sent to.

What comes is seen by the socket itself, as an extension of the tunnel; nothing is answered.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from morphnet.net.pump import Pump
from morphnet.roles.process.waiting import until
from morphnet.roles.signalling.control_client import Link
from morphnet.tunnel.events import Effects
from morphnet.wire.batch import Arrival
from morphnet.wire.header import SHORT_ID
from morphnet.wire.messages.trying import LOWEST, TOKEN, Tried, TryPort, datagram_of

WITHIN = 2.0  # seconds for the server's word and its datagram
PAUSE = 11.0  # seconds in which the last answer holds: the server heeds one question in 10
OPEN, CLOSED, UNKNOWN = "open", "closed", "unknown"


@dataclass
class Question:
    """One that is under way: an Extension of the tunnel."""

    door: int
    token: str
    sent: bool | None = None  # as the server says
    came: bool = False

    def due_at(self) -> float:
        """Never."""
        return float("inf")

    def tick(self, now: float, effects: Effects) -> None:
        """Nothing is due."""

    def received(self, arrival: Arrival, datagram: bytes, now: float, effects: Effects) -> None:
        """A datagram that begins as the one that is waited for."""
        if arrival.door == self.door and hmac.compare_digest(datagram, datagram_of(self.token)):
            self.came = True

    def is_answered(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.came or self.sent is False

    @property
    def word(self) -> str:
        """What is known."""
        return OPEN if self.came else CLOSED if self.sent else UNKNOWN


class Openness:
    """
    Of one client.

    :ivar known: whether the server heeds such questions.
    """

    def __init__(self, pump: Pump, entropy: Callable[[int], bytes]) -> None:
        self.known = False
        self._pump, self._entropy = pump, entropy
        self._question: Question | None = None
        self._last: tuple[float, int, str] | None = None  # when asked, about which port, the answer

    def ask(self, link: Link | None, door: int, port: int, clock: IReactorTime) -> Deferred[str]:
        """
        Whether what is sent to that port from outside comes in at that door: OPEN, CLOSED or UNKNOWN.

        :param port: outside, at the address from which the link comes.
        """
        now = self._pump.now()
        if self._last is not None and now - self._last[0] < PAUSE:
            return succeed(self._last[2] if self._last[1] == port else UNKNOWN)
        if link is None or not self.known or port < LOWEST:
            return succeed(UNKNOWN)
        question = Question(door, self._entropy(TOKEN).hex())
        number = datagram_of(question.token)[:SHORT_ID]
        if not self._pump.tunnel.add_extension(number, question):
            return succeed(UNKNOWN)
        self._question, self._last = question, (now, port, UNKNOWN)
        link.send(TryPort(port, question.token))

        def answered(_: float | None) -> str:
            self._pump.tunnel.drop_extension(number, question)
            self._question, self._last = None, (now, port, question.word)
            return question.word

        return until(question.is_answered, WITHIN, clock, self._pump.now).addCallback(answered)

    def heard(self, said: Tried) -> None:
        """The server has sent it, or not."""
        if self._question is not None and said.token == self._question.token:
            self._question.sent = said.sent
