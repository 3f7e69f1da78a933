"""
Passkeys, for who is logged in: which there are, one more, one less.

Source: docs/home, Passkeys.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from morphnet.errors import PeerError, Refused
from morphnet.rendezvous.home.streams import Stream
from morphnet.roles.home.passkeys import Passkeys
from morphnet.roles.home.services.files import text
from morphnet.wire.messages.home.calls import to_text

ADD_WITHIN = 300.0  # seconds after a login


def _may_add(stream: Stream) -> None:
    """:raises Refused: who looks at an open page may be somebody else than who has logged in there."""
    if stream.age > ADD_WITHIN:
        raise Refused(f"log in again first: a passkey is added within {ADD_WITHIN / 60:.0f} minutes of that")


class Adding:
    """A browser makes one: an outlet."""

    def __init__(self, stream: Stream, passkeys: Passkeys, challenge: bytes) -> None:
        self._stream, self._passkeys, self._challenge = stream, passkeys, challenge

    def received(self, data: bytes) -> None:
        """No bytes are wanted."""
        self._stream.took(len(data))

    def said(self, what: dict[str, Any]) -> None:
        """It is made."""
        try:
            _may_add(self._stream)
            made = self._passkeys.add(self._challenge, what.get("made"), text(what, "name"))
        except PeerError as no:
            self._stream.refuse(str(no))
            return
        self._stream.say({"added": made.id})
        self._stream.end()

    def room(self) -> None:
        """Nothing is written."""

    def ended(self) -> None:
        """It was not made."""
        self._stream.end()

    def gone(self) -> None:
        """Nor will it be."""


class PasskeyService:
    """
    The service "passkeys".

    :param home: its key: the same owner is another one at another home.
    """

    name = "passkeys"

    def __init__(self, passkeys: Passkeys, home: str, entropy: Callable[[int], bytes]) -> None:
        self._passkeys, self._entropy = passkeys, entropy
        self._owner = to_text(sha256(home.encode()).digest())

    def opened(self, stream: Stream, asked: dict[str, Any]) -> str:
        """
        Do what is asked for; what that is, in words, for the log.

        :raises Refused: it is nothing that we do.
        """
        what = asked.get("do")
        if what == "list":
            kept = [[each.id, each.name, each.added_at] for each in self._passkeys.all.values()]
            stream.say({"passkeys": kept})
            stream.end()
            return "asks which passkeys there are"
        if what == "remove":
            gone = self._passkeys.remove(text(asked, "id"))
            stream.end()
            return f"removes passkey {gone.name}"
        if what != "add":
            raise Refused("no such thing is done with passkeys")
        _may_add(stream)
        challenge = self._entropy(32)
        stream.outlet = Adding(stream, self._passkeys, challenge)
        stream.say({"challenge": to_text(challenge), "owner": self._owner, "known": list(self._passkeys.all)})
        return "begins to add a passkey"

    def close(self) -> None:
        """Nothing is open."""
