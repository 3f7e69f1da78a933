"""
The original morphProtocol as it was, faults and all, byte by byte as in its documents: what our own is held against.

It shares nothing with `morphnet.legacy`. Undoing function 3 by doing it again is one of its faults.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import struct
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

_COMBINATIONS = {layers: list(itertools.permutations(range(11), layers)) for layers in range(1, 5)}
HEADERS = {1: 11, 2: 24, 3: 12}


def _left(byte: int, bits: int) -> int:
    bits %= 8
    return (byte << bits | byte >> (8 - bits)) & 255


def _mirrored(byte: int) -> int:
    return sum((byte >> bit & 1) << (7 - bit) for bit in range(8))


@dataclass
class Original:
    """One client's identity, and what both ends do with it."""

    chance: random.Random
    layers: int = 3
    padding: int = 8
    template: int = 1
    user: str = "user-1"

    def __post_init__(self) -> None:
        self.client = self.chance.randbytes(16)
        self.key, self.added = self.chance.randrange(256), self.chance.randrange(256)
        self.table = self.chance.sample(range(256), 256)
        self.first = self.number = self.chance.randrange(65536)

    def handshake(self) -> str:
        """As text."""
        return json.dumps(
            {
                "clientID": base64.b64encode(self.client).decode(),
                "key": self.key,
                "obfuscationLayer": self.layers,
                "randomPadding": self.padding,
                "fnInitor": {"substitutionTable": self.table, "randomValue": self.added},
                "templateId": self.template,
                "templateParams": {"initialSeq": self.first},
                "userId": self.user,
                "publicKey": "not implemented",
            }
        )

    def take(self, found: dict[str, Any]) -> None:
        """Be the server's end of a client that sent this handshake."""
        self.client = base64.b64decode(found["clientID"])
        self.key, self.layers, self.padding = found["key"], found["obfuscationLayer"], found["randomPadding"]
        self.table, self.added = found["fnInitor"]["substitutionTable"], found["fnInitor"]["randomValue"]
        self.template, self.first = found["templateId"], found["templateParams"]["initialSeq"]
        self.number = self.first

    def _change(self, function: int, text: list[int], back: bool) -> list[int]:
        """One function, or what the original takes for its inverse."""
        n, half = len(text), len(text) // 2
        stream = [(self.key + 37 * at) % 256 for at in range(n)]
        if function == 0 and not back:
            return [_left(byte, at % 8 + 1) ^ stream[(at + n - 1) % n] for at, byte in enumerate(text)]
        if function == 0:
            return [_left(byte ^ stream[(at + n - 1) % n], 7 - at % 8) for at, byte in enumerate(text)]
        if function == 1:
            swapped = list(text)
            for at in range(0, n - 1, 2):
                swapped[at], swapped[at + 1] = text[at + 1], text[at]
            return swapped
        if function in (2, 3):
            return text[::-1] if function == 2 else text[half:] + text[:half]
        if function == 5:
            return [byte ^ mask for byte, mask in zip(text, stream, strict=True)]
        change = {
            4: lambda byte: _left(byte, 7 if back else 1),
            6: lambda byte: byte ^ 255,
            7: _mirrored,
            8: lambda byte: _left(byte, 6 if back else 2),
            9: lambda byte: self.table.index(byte) if back else self.table[byte],
            10: lambda byte: (byte + (256 - self.added if back else self.added)) % 256,
        }[function]
        return [change(byte) for byte in text]

    def hide(self, text: bytes) -> bytes:
        """A body."""
        h0, h1, p = self.chance.randrange(256), self.chance.randrange(256), self.chance.randint(1, self.padding)
        hidden = list(text)
        for function in _COMBINATIONS[self.layers][h0 * h1 % len(_COMBINATIONS[self.layers])]:
            hidden = self._change(function, hidden, False)
        return bytes([h0, h1, p, *hidden]) + self.chance.randbytes(p)

    def show(self, body: bytes) -> bytes:
        """What it was, or what the original makes of it; raises ValueError as that does."""
        if len(body) < 4 or not 1 <= body[2] <= 8 or len(body) < 3 + body[2]:
            raise ValueError("Invalid packet")
        shown = list(body[3 : len(body) - body[2]])
        every = _COMBINATIONS[self.layers]
        for function in reversed(every[body[0] * body[1] % len(every)]):
            shown = self._change(function, shown, True)
        return bytes(shown)

    def dress(self, body: bytes) -> bytes:
        """A datagram."""
        number, self.number = self.number, (self.number + 1) % 65536
        if self.template == 1:
            return struct.pack("!B8sH", 0x40 | self.chance.randrange(16), self.client[:8], number) + body
        if self.template == 2:
            head = (self.client[:4], 0x51, 0, 256, 1234, number, max(0, number - 1), len(body))
            return struct.pack("<4sBBHIIII", *head) + body
        return b"GAME" + self.client[:4] + struct.pack("!HBB", number, self.chance.randint(1, 5), 7) + body

    def undress(self, datagram: bytes) -> bytes:
        """Its body; ids are not looked at."""
        return datagram[HEADERS[self.template] :]


class Sealer:
    """The one key of all."""

    def __init__(self, text: str) -> None:
        key, iv = (base64.b64decode(part) for part in text.strip().split(":"))
        self._cipher = Cipher(AES(key), CBC(iv))

    def seal(self, text: str) -> bytes:
        """A message as it is sent."""
        raw = text.encode()
        fill = 16 - len(raw) % 16
        encryptor = self._cipher.encryptor()
        return base64.b64encode(encryptor.update(raw + bytes([fill]) * fill) + encryptor.finalize())

    def open(self, datagram: bytes) -> str:
        """The message; raises ValueError when there is none."""
        decryptor = self._cipher.decryptor()
        raw = decryptor.update(base64.b64decode(datagram, validate=True)) + decryptor.finalize()
        if not raw or not 1 <= raw[-1] <= 16 or raw[-raw[-1] :] != raw[-1:] * raw[-1]:
            raise ValueError("wrong final block length")
        return raw[: -raw[-1]].decode()
