"""
The server's office: which sessions there are, and who may have one.

Source: docs/legacy sections 2 and 6.
"""

from __future__ import annotations

from collections.abc import Callable

from morphnet.errors import Refused
from morphnet.legacy.control import FULL, Handshake, Key, read_handshake
from morphnet.legacy.session import Session, same_place
from morphnet.legacy.templates import id_of, shown_ids
from morphnet.wire.batch import Endpoint

SIGN_OF_LIFE = 20.0  # seconds: the original's client begins anew when it heard nothing for 30
PRESENT = 300.0  # seconds after its last word that a client is taken to be there; its heartbeats are 120 apart


class Office:
    """
    :param key: of this server and all its clients.
    :param most: sessions at a time.
    :param timeout: seconds after which a silent one is ended.
    :param entropy: gives so many random bytes.
    """

    def __init__(self, key: Key, most: int, timeout: float, entropy: Callable[[int], bytes]) -> None:
        self._key, self._most, self._timeout, self._entropy = key, most, timeout, entropy
        self.sessions: dict[bytes, Session] = {}  # by ClientID
        self._shown: dict[tuple[int, bytes], Session] = {}  # by template, and what datagrams show of the ClientID

    def open(self, datagram: bytes) -> Handshake | str:
        """
        What came to the control port, as a handshake or a word.

        :raises MalformedFrame: it is neither.
        """
        text = self._key.open(datagram)
        return read_handshake(text) if text.startswith("{") else text

    def begin(self, handshake: Handshake, source: Endpoint, *, now: float) -> tuple[Session, bool]:
        """
        The session of that client, and whether it is new. One that is known keeps what it had drawn first.

        :raises Refused: there are too many.
        """
        session = self.sessions.get(handshake.client)
        if session is not None:
            session.called_again(source, now=now)
            return session, False
        if len(self.sessions) >= self._most:
            raise Refused(FULL)
        session = self.sessions[handshake.client] = Session(handshake, source, self._entropy, now=now)
        self._shown[_shown(session)] = session
        return session, True

    def of_data(self, datagram: bytes) -> Session | None:
        """Whose data that is, if it is any: clients may send it to the control port too."""
        for shown in shown_ids(datagram):
            if shown in self._shown:
                return self._shown[shown]
        return None

    def at(self, source: Endpoint) -> Session | None:
        """Whose client is at that address."""
        for session in self.sessions.values():
            if same_place(session.peer, source) or same_place(session.called_from, source):
                return session
        return None

    def forget(self, session: Session) -> None:
        """It is over."""
        if self.sessions.pop(session.handshake.client, None) is session:
            shown = _shown(session)
            if self._shown.get(shown) is session:
                del self._shown[shown]

    def silent(self, now: float) -> list[Session]:
        """Those to end."""
        return [each for each in self.sessions.values() if now - each.heard_at > self._timeout]

    def waiting(self, now: float) -> list[Session]:
        """Those whose client is there and should hear something, lest it begin anew."""
        return [
            each
            for each in self.sessions.values()
            if now - each.sent_at >= SIGN_OF_LIFE and now - each.heard_at < PRESENT
        ]


def _shown(session: Session) -> tuple[int, bytes]:
    handshake = session.handshake
    return handshake.template, id_of(handshake.template, handshake.client)
