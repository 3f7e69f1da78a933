"""
The original's home server and its browser client, as far as a coordinator sees them, made anew from what is known of
their bytes: nothing of `morphnet` is in here.

Source: docs/homechannel.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, x448, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

SPKI = PublicFormat.SubjectPublicKeyInfo


def stringify(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def aes_key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def encrypt(key: bytes, value: object, iv: bytes = b"") -> bytes:
    iv = iv or os.urandom(12)
    sealed = AESGCM(key).encrypt(iv, stringify(value).encode(), None)
    return iv + sealed[-16:] + sealed[:-16]


def decrypt(key: bytes, box: bytes) -> Any:
    return json.loads(AESGCM(key).decrypt(box[:12], box[28:] + box[12:28], None))


class Curves:
    """How one generation agrees on keys and signs."""

    def __init__(self, name: str) -> None:
        self.name = name  # "p256", "ed25519" or "ed448"
        makers: dict[str, Callable[[], Any]] = {
            "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "ed25519": ed25519.Ed25519PrivateKey.generate,
            "ed448": ed448.Ed448PrivateKey.generate,
        }
        self.identity = makers[name]()
        public = self.identity.public_key()
        pem = public.public_bytes(Encoding.PEM, SPKI).decode()
        self.shown = pem if name == "p256" else base64.b64encode(public.public_bytes(Encoding.DER, SPKI)).decode()

    def agreement(self) -> tuple[Any, bytes]:
        if self.name == "p256":
            key: Any = ec.generate_private_key(ec.SECP256R1())
            return key, key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        key = (x448.X448PrivateKey if self.name == "ed448" else x25519.X25519PrivateKey).generate()
        return key, key.public_key().public_bytes(Encoding.DER, SPKI)

    def secret(self, own: Any, theirs: bytes) -> str:
        if self.name == "p256":
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs)
            return str(own.exchange(ec.ECDH(), point).hex())
        return str(own.exchange(load_der_public_key(theirs)).hex())

    def sign(self, what: bytes) -> str:
        if self.name == "p256":
            return str(self.identity.sign(what, ec.ECDSA(SHA256())).hex())
        return str(self.identity.sign(what).hex())


class OriginalServer:
    """
    A home server of the original. It believes whoever writes to its socket, and changes its key with each HEARTBEAT
    that it has sent, whether that arrives or not.

    :param send: to the coordinator.
    :param coordinator: its public key in PEM, or "" for any.
    """

    def __init__(
        self, send: Callable[[bytes], None], curves: Curves, password: str = "pw", coordinator: str = ""
    ) -> None:
        self._send, self.curves, self.password, self.coordinator = send, curves, password, coordinator
        self.state = "disconnected"
        self.registrations = 0
        self.pongs = 0
        self.offers: list[dict[str, Any]] = []
        self.undecrypted = 0
        self.challenge = ""

    @property
    def key(self) -> bytes:
        return aes_key(self.answer)

    def hello(self) -> None:
        self.state, self.tag = "registering", os.urandom(4)
        self._send(b"\x01\x01" + self.tag)

    def received(self, datagram: bytes) -> None:
        if len(datagram) < 2 or datagram[0] != 1:
            return
        kind, payload = datagram[1], datagram[2:]
        if kind == 2:
            self._hello_ack(payload)
        elif kind == 4:
            self._ecdh_response(payload)
        elif kind == 5:
            ack = decrypt(self.shared, payload)
            assert stringify(ack) == '{"status":"ok","type":"register"}'
            self.state = "registered"
            self.registrations += 1
        elif kind == 0x0A:
            self._offer(payload)
        elif kind == 0x0B:
            assert payload == b"" and self.curves.name != "p256", "the first generation knows no PONG"
            self.pongs += 1
        elif kind == 0xFF:
            assert payload == b""
            self.hello()  # from whomever it came
        else:
            raise AssertionError(f"unexpected type {kind}")

    def _hello_ack(self, payload: bytes) -> None:
        assert len(payload) == 8
        if payload[:4] != self.tag:
            self.state = "disconnected"
            return
        self.own, self.public = self.curves.agreement()
        self._send(b"\x01\x03" + payload[4:] + bytes([len(self.public)]) + self.public)

    def _ecdh_response(self, payload: bytes) -> None:
        size = payload[0]
        theirs, box = payload[1 : 1 + size], payload[1 + size :]
        assert size == len(self.public)
        self.shared = aes_key(self.curves.secret(self.own, theirs))
        told = decrypt(self.shared, box)
        assert list(told) == ["timestamp", "signature"]
        if self.coordinator:
            key: Any = load_pem_public_key(self.coordinator.encode())
            more = [ec.ECDSA(SHA256())] if self.curves.name == "p256" else []
            key.verify(bytes.fromhex(told["signature"]), theirs + self.public, *more)
        self.challenge = self.challenge or os.urandom(16).hex()
        self.answer = hashlib.sha256((self.challenge + self.password).encode()).hexdigest()
        payload_ = {"challenge": self.challenge, "challengeAnswerHash": self.answer}
        both = (self.public + theirs).hex()
        said = {"serverPublicKey": self.curves.shown, "timestamp": 1700000000000, "payload": payload_}
        signature = self.curves.sign(stringify({"ecdhKeys": both, **said}).encode())
        self._send(b"\x01\x05" + encrypt(self.shared, {**said, "signature": signature}))

    def ping(self) -> None:
        if self.state == "registered":
            self._send(b"\x01\x06")

    def heartbeat(self) -> None:
        challenge = os.urandom(16).hex()
        answer = hashlib.sha256((challenge + self.password).encode()).hexdigest()
        payload = {"newChallenge": challenge, "challengeAnswerHash": answer}
        self._send(b"\x01\x07" + encrypt(self.key, {"type": "heartbeat", "payload": payload}))
        self.challenge, self.answer = challenge, answer

    def _offer(self, payload: bytes) -> None:
        assert self.curves.name != "p256", "the first generation knows no OFFER"
        try:
            offer = decrypt(self.key, payload)
        except InvalidTag:
            self.undecrypted += 1
            return
        assert list(offer) == ["type", "sessionId", "timestamp", "payload"] and offer["type"] == "offer"
        self.offers.append(offer)

    def reply(self, session: str, payload: object) -> None:
        said = {
            "serverPublicKey": self.curves.shown,
            "sessionId": session,
            "timestamp": 1700000000001,
            "payload": payload,
        }
        signed = {"signature": self.curves.sign(stringify(said).encode()), "signatureAlgorithm": self.curves.name}
        self._send(b"\x01\x08" + encrypt(self.key, {"type": "answer", **said, **signed}))


class OriginalBrowser:
    """
    The original's browser client.

    :param post: takes a path and a value, gives status and value.
    """

    def __init__(self, post: Callable[[str, object], tuple[int, Any]], server: str, password: str = "pw") -> None:
        self._post, self.server, self.password = post, server, password

    def about(self) -> Any:
        """What the coordinator knows of the server; None for nothing."""
        status, told = self._post("/api/servers", {"serverPublicKeys": [self.server]})
        assert status == 200 and list(told) == ["servers"]
        return told["servers"][0] if told["servers"] else None

    def connect(self, payload: object, now_ms: int) -> tuple[int, Any]:
        challenge = self.about()["challenge"]
        answer = hashlib.sha256((challenge + self.password).encode()).hexdigest()
        asked = {"serverPublicKey": self.server, "challengeAnswer": answer, "payload": payload, "timestamp": now_ms}
        return self._post("/api/connect", asked)

    def poll(self, session: str) -> tuple[int, Any]:
        return self._post("/api/poll", {"sessionId": session, "lastUpdate": 0})

    def verified(self, told: dict[str, Any]) -> Any:
        """The payload of an answer whose signature is the server's."""
        keys = ["success", "serverPublicKey", "sessionId", "timestamp", "payload"]
        assert list(told) == [*keys, "serverSignature", "serverSignatureAlgorithm"], list(told)
        signed = stringify({name: told[name] for name in keys[1:]}).encode()
        key: Any = load_der_public_key(base64.b64decode(self.server))
        key.verify(bytes.fromhex(told["serverSignature"]), signed)
        return told["payload"]
