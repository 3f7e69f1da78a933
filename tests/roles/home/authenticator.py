"""A device with a passkey, and the browser before it."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2.cose import ES256
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

from morphnet.wire.messages.home.calls import to_text

Flag = AuthenticatorData.FLAG


class Authenticator:
    """One, on a site; counts its signatures from `count`, or not where that is 0."""

    def __init__(self, origin: str = "https://c.example", site: str = "c.example", count: int = 0) -> None:
        self.origin, self.site, self.count = origin, site, count
        self.id = os.urandom(16)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.flags = Flag.UP | Flag.UV

    def _client(self, kind: str, challenge: bytes) -> bytes:
        told = {"type": f"webauthn.{kind}", "challenge": to_text(challenge), "origin": self.origin}
        return json.dumps({**told, "crossOrigin": False}).encode()

    def _answer(self, **response: bytes) -> dict[str, Any]:
        name = to_text(self.id)
        told = {key: to_text(value) for key, value in response.items()}
        return {"id": name, "rawId": name, "type": "public-key", "clientExtensionResults": {}, "response": told}

    def _data(self, credential: bytes = b"") -> AuthenticatorData:
        flags = self.flags | (Flag.AT if credential else Flag(0))
        site = sha256(self.site.encode()).digest()
        data: AuthenticatorData = AuthenticatorData.create(site, flags, self.count, credential)
        return data

    def make(self, challenge: bytes) -> dict[str, Any]:
        """A registration."""
        public = ES256.from_cryptography_key(self._key.public_key())
        credential = AttestedCredentialData.create(bytes(16), self.id, public)
        attested = AttestationObject.create("none", self._data(credential), {})
        return self._answer(clientDataJSON=self._client("create", challenge), attestationObject=bytes(attested))

    def sign(self, challenge: bytes) -> dict[str, Any]:
        """An assertion."""
        if self.count:
            self.count += 1
        client, data = self._client("get", challenge), self._data()
        signature = self._key.sign(bytes(data) + sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer(clientDataJSON=client, authenticatorData=bytes(data), signature=signature)
