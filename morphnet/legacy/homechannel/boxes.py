"""
JSON as a browser writes it, and the boxes it is sealed in: AES-256-GCM, the tag in front of the text.

Source: docs/homechannel section 2; ECMA-262, JSON.stringify and Number::toString.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from hashlib import sha256
from typing import Any, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from morphnet.errors import Forged, MalformedFrame

IV, TAG = 12, 16  # bytes


def key_of(text: str) -> bytes:
    """The key that belongs to a secret in hex: of its digits, not of its bytes."""
    return sha256(text.encode()).digest()


def answer_of(challenge: str, password: str) -> str:
    """What a browser that knows the password says to a challenge, in hex."""
    return sha256((challenge + password).encode()).hexdigest()


def _not_a_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _number(value: float) -> str:
    """Source: ECMA-262, Number::toString; Python finds the same shortest digits, and writes them otherwise."""
    if not value or not math.isfinite(value):
        return "0" if not value else "null"
    sign, digits, power = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(power, int)  # it is finite
    text, point = "".join(map(str, digits)), len(digits) + power
    if len(text) <= point <= 21:
        text += "0" * (point - len(text))
    elif 0 < point <= 21:
        text = f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{text}"
    else:
        text = f"{text[0]}{'.' + text[1:] if text[1:] else ''}e{point - 1:+d}"
    return "-" * sign + text


def stringify(value: Any) -> str:
    """What JSON.stringify makes of a value that JSON.parse has read."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, float)):
        return _number(float(value))
    if isinstance(value, dict):
        members = (f"{json.dumps(name, ensure_ascii=False)}:{stringify(each)}" for name, each in value.items())
        return "{" + ",".join(members) + "}"
    return "[" + ",".join(map(stringify, value)) + "]"


def read_object(text: bytes) -> dict[str, Any]:
    """
    An object in JSON; its members stay in their order.

    :raises MalformedFrame: it is none.
    """
    try:
        found = json.loads(text.decode("utf-8"), parse_constant=_not_a_number)
        if isinstance(found, dict):
            stringify(found).encode("utf-8")  # neither too deep nor half a character
            return found
    except (ValueError, RecursionError, OverflowError):
        pass
    raise MalformedFrame("no object in JSON")


def seal(key: bytes, iv: bytes, value: Any) -> bytes:
    """
    A box.

    :param iv: 12 bytes, never twice under one key.
    """
    sealed = AESGCM(key).encrypt(iv, stringify(value).encode("utf-8"), None)
    return iv + sealed[-TAG:] + sealed[:-TAG]


def open_box(key: bytes, box: bytes) -> dict[str, Any]:
    """
    What is in it.

    :raises Forged: it was sealed with another key.
    :raises MalformedFrame: no object is in it.
    """
    if len(box) < IV + TAG:
        raise MalformedFrame(f"box of {len(box)} bytes")
    iv, tag, text = box[:IV], box[IV : IV + TAG], box[IV + TAG :]
    try:
        return read_object(AESGCM(key).decrypt(iv, text + tag, None))
    except InvalidTag:
        raise Forged("box of HomeChannel") from None


def text_of(message: dict[str, Any], name: str, longest: int = 1 << 16) -> str:
    """
    A member that is a text.

    :raises MalformedFrame: it is none.
    """
    value = message.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise MalformedFrame(name)
    return value
