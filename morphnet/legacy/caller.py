"""
The client's part with an original server: when it calls, and when it calls again.

The original gives up its identity when it has heard nothing for a while, which an idle one never does, and waits for
ever for one lost answer. We call again with the same ClientID, only when something was sent and nothing came back, and
until there is an answer.

Source: docs/legacy section 7.
"""

from __future__ import annotations

from collections.abc import Callable

from morphnet.errors import MalformedFrame
from morphnet.legacy.control import (
    FULL,
    INACTIVITY,
    RECONNECTED,
    SHUTDOWN,
    Answer,
    Handshake,
    Key,
    read_answer,
    write_handshake,
)
from morphnet.legacy.obfuscator import Parameters
from morphnet.legacy.session import Session
from morphnet.legacy.templates import CLIENT_ID, GAME, KCP, QUIC
from morphnet.wire.batch import Endpoint

FIRST_WAIT, LONGEST_WAIT = 7.0, 60.0  # seconds for an answer; the server lets in ten a minute
PATIENCE = 5.0  # seconds after something was sent in which something should come
HEARTBEAT_EVERY = 120.0  # seconds
_LAYERS, _PADDING = 3, 8


def draw(user: str, entropy: Callable[[int], bytes]) -> Handshake:
    """A new client: its id, and how it obfuscates."""
    table = list(range(256))
    chance = entropy(4 * 255)
    for at in range(255, 0, -1):  # Fisher and Yates
        other = int.from_bytes(chance[4 * at - 4 : 4 * at], "big") % (at + 1)
        table[at], table[other] = table[other], table[at]
    key, added, kind, high, low = entropy(5)
    template = QUIC if kind < 102 else KCP if kind < 192 else GAME  # 40, 35, 25 of 100, as the original draws
    parameters = Parameters(key, _LAYERS, _PADDING, bytes(table), added)
    return Handshake(entropy(CLIENT_ID), parameters, template, high << 8 | low, user)


class Caller:
    """
    :param handshake: what was drawn.
    :param entropy: gives so many random bytes.
    """

    def __init__(self, key: Key, handshake: Handshake, entropy: Callable[[int], bytes]) -> None:
        self._key, self._handshake, self._entropy = key, handshake, entropy
        self.session: Session | None = None  # None until the server has answered
        self.state = "calling"  # one phrase
        self._wait, self._call_at = FIRST_WAIT, float("-inf")
        self._unanswered_since: float | None = None  # when the first datagram left after the last one that came

    def call(self, *, now: float) -> bytes | None:
        """The handshake to send now, if it is time for one."""
        late = self._unanswered_since is not None and now - self._unanswered_since > PATIENCE
        if (self.session is not None and not late) or now < self._call_at:
            return None
        self._call_at = now + self._wait
        self._wait = min(LONGEST_WAIT, self._wait * 1.5)
        if self.session is not None:
            self.state = "calling again: nothing comes back"
        return self._key.seal(write_handshake(self._handshake))

    def answered(self, datagram: bytes, server: Endpoint, *, now: float) -> None:
        """
        Something came from the control port.

        :raises MalformedFrame: nothing that concerns us: it changes nothing.
        """
        text = self._key.open(datagram)
        if text in (INACTIVITY, SHUTDOWN, FULL):
            self.session = None
            self.state = "the server has no room" if text == FULL else "calling: the server ended the session"
            return
        answer = read_answer(text)
        if answer.client != self._handshake.client:
            raise MalformedFrame("an answer for somebody else")
        self._welcome(answer, server._replace(port=answer.port), now)

    def _welcome(self, answer: Answer, place: Endpoint, now: float) -> None:
        if self.session is None:
            self.session = Session(self._handshake, place, self._entropy, now=now)
        elif answer.status != RECONNECTED:
            self.session.begin_anew()
        self.session.called_again(place, now=now)
        self.state, self._wait, self._unanswered_since = "connected", FIRST_WAIT, None

    def receive(self, source: Endpoint, datagrams: list[bytes], *, now: float) -> list[bytes]:
        """What the server's program has sent; nothing from elsewhere."""
        session = self.session
        if session is None or session.peer[:2] != source[:2]:
            return []
        texts = session.receive(source, datagrams, now=now)
        if session.heard_at == now:
            self.state, self._wait, self._unanswered_since = "connected", FIRST_WAIT, None
        return texts

    def send(self, run: bytes, size: int, *, now: float, millis: int) -> list[bytes]:
        """Datagrams for the server; none before it has answered."""
        if self.session is None:
            return []
        if self._unanswered_since is None:
            self._unanswered_since = now
        return self.session.send(run, size, now=now, millis=millis)

    def heartbeat(self, *, now: float, millis: int) -> bytes | None:
        """The one that is due, if any."""
        if self.session is None or now - self.session.sent_at < HEARTBEAT_EVERY:
            return None
        return self.session.heartbeat(now=now, millis=millis)
