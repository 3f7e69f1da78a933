"""What the original says besides data."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.legacy.control import (
    CLOSE,
    CONNECTED,
    LONGEST,
    RECONNECTED,
    Answer,
    Handshake,
    Key,
    read_answer,
    read_handshake,
    write_answer,
    write_handshake,
)
from tests.legacy.test_obfuscator import PARAMETERS

KEY = Key(bytes(range(32)), bytes(range(16)))
HANDSHAKE = Handshake(bytes(range(16)), PARAMETERS, 2, 65535, "user-1")

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def changed(**changes: Any) -> str:
    """The handshake as text, some of its fields changed; None takes one away."""
    found = json.loads(write_handshake(HANDSHAKE))
    for name, value in changes.items():
        found[name] = value
    return json.dumps({name: value for name, value in found.items() if value is not None})


def refuses(read: Callable[[Any], object], given: object) -> None:
    """Whatever comes is read, or refused with the declared error."""
    try:
        read(given)
    except MalformedFrame:
        pass


class KeyTests(SynchronousTestCase):
    """Sealing."""

    def test_known(self) -> None:
        """AES-256-CBC with PKCS#7, in base64: made once with `openssl enc -aes-256-cbc -base64`."""
        self.assertEqual(KEY.seal(CLOSE), b"/Gqo6OC9hKBp3apI9bAanQ==")

    def test_back(self) -> None:
        """What is sealed opens, also with the key string; what is sealed twice is the same, which is the weakness."""
        again = Key.read(KEY.text + "\n")
        for text in ("", CLOSE, "é" * 999, write_handshake(HANDSHAKE)):
            self.assertEqual(again.open(KEY.seal(text)), text)
        self.assertEqual(KEY.seal(CLOSE), KEY.seal(CLOSE))

    def test_refused(self) -> None:
        """No base64, no whole blocks, another key, and too much."""
        other = Key(bytes(32), bytes(16))
        for datagram in (
            b"",
            b"close",
            b"\xff\x00",
            base64.b64encode(b"x" * 15),
            other.seal(CLOSE),
            b"A" * (LONGEST + 4),
        ):
            self.assertRaises(MalformedFrame, KEY.open, datagram)
        for text in ("", ":", "AAAA:AAAA", KEY.text[:-1], "ä:ö", KEY.text + ":"):
            self.assertRaises(MalformedFrame, Key.read, text)

    @given(some.binary(max_size=200))
    def test_anything(self, datagram: bytes) -> None:
        """Garbage, and garbage in base64."""
        refuses(KEY.open, datagram)
        refuses(KEY.open, base64.b64encode(datagram))


class HandshakeTests(SynchronousTestCase):
    """JSON."""

    def test_back(self) -> None:
        """A handshake and an answer are read as they were written."""
        self.assertEqual(read_handshake(write_handshake(HANDSHAKE)), HANDSHAKE)
        for status in (CONNECTED, RECONNECTED):
            answer = Answer(40000, bytes(16), status)
            self.assertEqual(read_answer(write_answer(answer)), answer)

    def test_order(self) -> None:
        """The fields are those of the original, in its order."""
        names = "clientID key obfuscationLayer randomPadding fnInitor templateId templateParams userId publicKey"
        self.assertEqual(list(json.loads(write_handshake(HANDSHAKE))), names.split())

    def test_lenient(self) -> None:
        """A field more, a key of KCP's and no user key are all right."""
        self.assertEqual(read_handshake(changed(more=1, publicKey=None)), HANDSHAKE)
        self.assertEqual(read_handshake(changed(templateParams={"initialSeq": 65535, "initialTs": 5})), HANDSHAKE)

    def test_refused(self) -> None:
        """Each field that is missing, of another type or out of range."""
        read_handshake(changed())
        table = list(PARAMETERS.table)
        wrong: list[dict[str, Any]] = [
            {"clientID": value}
            for value in (None, "", "AAAA", 5, "ä" * 24, "A" * 2000, base64.b64encode(bytes(17)).decode())
        ]
        wrong += [{"key": value} for value in (None, -1, 256, 1.5, "5", True)]
        wrong += [{"obfuscationLayer": value} for value in (0, 5, None)]
        wrong += [{"randomPadding": value} for value in (0, 9, None)]
        wrong += [{"templateId": value} for value in (0, 4, None)]
        wrong += [{"templateParams": value} for value in (None, 5, {"initialSeq": 65536}, {"initialSeq": "1"})]
        wrong += [{"userId": value} for value in (None, 5, "x" * 257)]
        for bad in (table[:-1], [0] * 256, [*table[:-1], 256], "x" * 256, None):
            wrong.append({"fnInitor": {"substitutionTable": bad, "randomValue": 1}})
        wrong += [{"fnInitor": None}, {"fnInitor": {"substitutionTable": table}}]
        for changes in wrong:
            self.assertRaises(MalformedFrame, read_handshake, changed(**changes))
        for text in ("", "[]", "5", "{}", "[" * 5000, '{"port": 0}', "close"):
            self.assertRaises(MalformedFrame, read_handshake, text)
            self.assertRaises(MalformedFrame, read_answer, text)

    @given(JSON, some.sampled_from(list(json.loads(write_handshake(HANDSHAKE)))))
    def test_anything(self, value: Any, name: str) -> None:
        """Any JSON, as the whole or as a field."""
        refuses(read_handshake, json.dumps(value))
        refuses(read_answer, json.dumps(value))
        refuses(read_handshake, changed(**{name: value}))
        refuses(read_handshake, changed(fnInitor={"substitutionTable": value, "randomValue": value}))
        refuses(read_answer, json.dumps({"port": value, "clientID": value, "status": value}))
