"""
What the original's clients and server say besides data: a handshake, its answer, and three words.

All of it is sealed with one key and one IV, the same for everybody and for ever: who holds the key string reads and
writes all of it. It has no tag either, so that garbage now and then opens; it must then still make sense.

Source: docs/legacy section 2.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from morphnet.errors import MalformedFrame
from morphnet.legacy.obfuscator import Parameters
from morphnet.legacy.templates import CLIENT_ID, GAME, QUIC

LONGEST = 8192  # bytes of one sealed message that are looked at; the original's handshake has about 1600
CLOSE, INACTIVITY, FULL, SHUTDOWN = "close", "inactivity", "server_full", "server_shutdown"
WORDS = frozenset({CLOSE, INACTIVITY, FULL, SHUTDOWN})
CONNECTED, RECONNECTED = "connected", "reconnected"
_LONGEST_USER = 256  # characters
_BLOCK = 16


@dataclass(frozen=True, slots=True)
class Handshake:
    """A client wants a session, or its session at another address."""

    client: bytes  # the ClientID, 16 bytes
    parameters: Parameters
    template: int  # 1 .. 3
    first: int  # number of its first datagram, 0 .. 65535
    user: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The server has one for it."""

    port: int  # UDP, where it is served
    client: bytes
    status: str  # CONNECTED or RECONNECTED


class Key:
    """The one key of a server and all its clients."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        """:raises MalformedFrame: not 32 and 16 bytes."""
        if (len(key), len(iv)) != (32, _BLOCK):
            raise MalformedFrame("not a key of 32 bytes and an IV of 16")
        self._cipher = Cipher(AES(key), CBC(iv))
        self.text = f"{base64.b64encode(key).decode()}:{base64.b64encode(iv).decode()}"  # as clients are given it

    @classmethod
    def read(cls, text: str) -> Key:
        """
        A key string, `BASE64:BASE64`.

        :raises MalformedFrame: it is none.
        """
        key, _, iv = text.strip().partition(":")
        return cls(_unbase64(key), _unbase64(iv))

    def seal(self, text: str) -> bytes:
        """A message as it is sent."""
        padder, encryptor = PKCS7(8 * _BLOCK).padder(), self._cipher.encryptor()
        padded = padder.update(text.encode()) + padder.finalize()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize())

    def open(self, datagram: bytes) -> str:
        """
        The message in a datagram.

        :raises MalformedFrame: there is none.
        """
        if len(datagram) > LONGEST or len(datagram) % 4:
            raise MalformedFrame("not as long as a message")
        sealed = _unbase64(datagram)
        if not sealed or len(sealed) % _BLOCK:
            raise MalformedFrame("no whole blocks")
        decryptor, unpadder = self._cipher.decryptor(), PKCS7(8 * _BLOCK).unpadder()
        try:
            return (unpadder.update(decryptor.update(sealed)) + unpadder.finalize()).decode()
        except ValueError:  # the padding, or no UTF-8
            raise MalformedFrame("does not open") from None


def _unbase64(text: str | bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedFrame("no base64") from None


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedFrame("no JSON") from None
    if not isinstance(found, dict):
        raise MalformedFrame("no object")
    return found


def _whole(found: object, least: int, most: int) -> int:
    """A whole number within bounds; JavaScript writes 5.0 as 5."""
    if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
        raise MalformedFrame("a number is missing, or out of range")
    return found


def _part(found: dict[str, Any], name: str) -> dict[str, Any]:
    part = found.get(name)
    if not isinstance(part, dict):
        raise MalformedFrame(f"no {name}")
    return part


def _client(found: dict[str, Any]) -> bytes:
    text = found.get("clientID")
    client = _unbase64(text) if isinstance(text, str) and len(text) <= 64 and text.isascii() else b""
    if len(client) != CLIENT_ID:
        raise MalformedFrame("no ClientID of 16 bytes")
    return client


def read_handshake(text: str) -> Handshake:
    """
    An opened message as a handshake.

    :raises MalformedFrame: it is none.
    """
    found = _object(text)
    drawn, user = _part(found, "fnInitor"), found.get("userId")
    table = drawn.get("substitutionTable")
    if not isinstance(table, list) or len(table) != 256:
        raise MalformedFrame("no table of 256")
    if not isinstance(user, str) or len(user) > _LONGEST_USER:
        raise MalformedFrame("no user")
    parameters = Parameters(
        _whole(found.get("key"), 0, 255),
        _whole(found.get("obfuscationLayer"), 1, 4),
        _whole(found.get("randomPadding"), 1, 8),
        bytes(_whole(each, 0, 255) for each in table),
        _whole(drawn.get("randomValue"), 0, 255),
    )
    first = _whole(_part(found, "templateParams").get("initialSeq", 0), 0, 65535)
    return Handshake(_client(found), parameters, _whole(found.get("templateId"), QUIC, GAME), first, user)


def write_handshake(handshake: Handshake) -> str:
    """The same as text, in the original's order."""
    drawn = handshake.parameters
    found = {
        "clientID": base64.b64encode(handshake.client).decode(),
        "key": drawn.key,
        "obfuscationLayer": drawn.layers,
        "randomPadding": drawn.padding,
        "fnInitor": {"substitutionTable": list(drawn.table), "randomValue": drawn.added},
        "templateId": handshake.template,
        "templateParams": {"initialSeq": handshake.first},
        "userId": handshake.user,
        "publicKey": "not implemented",
    }
    return json.dumps(found, separators=(",", ":"))


def read_answer(text: str) -> Answer:
    """
    An opened message as the answer to a handshake.

    :raises MalformedFrame: it is none.
    """
    found = _object(text)
    status = found.get("status")
    return Answer(
        _whole(found.get("port"), 1, 65535), _client(found), RECONNECTED if status == RECONNECTED else CONNECTED
    )


def write_answer(answer: Answer) -> str:
    """The same as text."""
    client = base64.b64encode(answer.client).decode()
    return json.dumps({"port": answer.port, "clientID": client, "status": answer.status}, separators=(",", ":"))
