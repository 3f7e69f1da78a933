"""
Passkeys: a second way in, kept at home. What is kept are public keys, and a login proves the private one.

The challenge is no number that somebody made up: it is the hash of what both ends have said, the browser's offer with
its fingerprint of DTLS included, so that what is signed for one connection is good for no other.

Source: docs/protocol section 16; Web Authentication Level 3, sections 7.1 and 7.2; the PyPI package fido2.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    CollectedClientData,
    PublicKeyCredentialRpEntity,
    UserVerificationRequirement,
)

from morphnet.durable import write_over
from morphnet.errors import ConfigError, MalformedFrame, Refused
from morphnet.roles.home.beneath import in_words
from morphnet.text import printable
from morphnet.wire.messages.home.calls import from_text, to_text

FILE = "passkeys"
MOST = 20
CONTEXT = b"morphnet home passkey\0"  # what the home signs, and what both hash, begins with this
LONGEST_NAME = 60
LONGEST_ID = 1023  # bytes, WebAuthn section 7.1


@dataclass(frozen=True, slots=True)
class Passkey:
    """One that may log in."""

    id: str  # of the credential, base64url
    key: str  # the attested credential data, base64url: the public key is in it
    name: str  # what its owner calls it
    count: int  # of signatures, as the authenticator told last; 0 where it does not count
    added_at: int  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Meeting:
    """What both ends know once each has said its half."""

    shared: bytes  # 32 bytes, for `Keys.of`
    said: bytes  # both halves, and which home it is

    def challenge(self, offer: str) -> bytes:
        """What a passkey signs for this offer."""
        return sha256(CONTEXT + self.said + sha256(offer.encode()).digest()).digest()


def meet(first: bytes, home: str) -> tuple[bytes, Meeting]:
    """
    Our half, and what comes of both.

    :param first: the browser's, a point of P-256.
    :raises ValueError: it is none.
    """
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), first)
    ours = ec.generate_private_key(ec.SECP256R1())
    second = ours.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    said = home.encode() + first + second
    return second, Meeting(sha256(CONTEXT + said + ours.exchange(ec.ECDH(), theirs)).digest(), said)


def site(page: str) -> tuple[str, str]:
    """
    The origin of the page, and the name of its host.

    :raises ConfigError: no browser takes passkeys there.
    """
    found = urlsplit(page)
    host = found.hostname or ""
    try:
        ip_address(host)
        named = False
    except ValueError:
        named = bool(host)
    if found.scheme != "https" or not named:
        raise ConfigError("passkeys: 'page' must be https:// and a name: no browser takes passkeys for an address")
    return f"https://{host}" + (f":{found.port}" if found.port not in (None, 443) else ""), host


class Passkeys:
    """
    All of them.

    :param directory: where they are kept.
    :param page: its address: a passkey is good for the site that it was made at, and for no other.
    :param others: addresses of the page at the other coordinators that the home knows now.
    :raises ConfigError: the file is damaged, or there can be none for this page.
    """

    def __init__(
        self,
        directory: Path,
        page: str,
        now: Callable[[], float] = time.time,
        others: Callable[[], Iterable[str]] = lambda: (),
    ) -> None:
        self._file, self._now = directory / FILE, now
        site(page)
        self._pages = lambda: dict.fromkeys((page, *others()))
        self.all = self._read()
        self.told: Callable[[str], None] = lambda text: None  # of each that comes or goes

    def _read(self) -> dict[str, Passkey]:
        try:
            kept = json.loads(self._file.read_text())
            return {each["id"]: Passkey(**each) for each in kept}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            raise ConfigError(f"{self._file} is damaged: remove it to begin without passkeys") from None

    def _keep(self, all_of_them: dict[str, Passkey]) -> None:
        """
        From now on it is these: on the disk first.

        :raises Refused: the disk does not take them; it is those from before.
        """
        text = json.dumps([asdict(each) for each in all_of_them.values()], indent=1)
        try:
            write_over(self._file, text.encode() + b"\n", mode=0o600)
        except OSError as trouble:
            raise Refused(f"that cannot be kept: {in_words(trouble)}") from trouble
        self.all = all_of_them

    def _server(self, told: object) -> Fido2Server:
        """
        What checks it: that of the site which the browser says it is from.

        :raises ValueError: that is none of ours.
        """
        client = CollectedClientData(from_text(str(_mapping(_mapping(told).get("response")).get("clientDataJSON"))))
        for page in self._pages():
            try:
                origin, host = site(page)
            except ConfigError:
                continue  # no browser takes passkeys there
            if client.origin == origin:
                relying = PublicKeyCredentialRpEntity(name="morphnet home", id=host)
                return Fido2Server(relying, verify_origin=origin.__eq__)
        raise ValueError("from another site")

    def add(self, challenge: bytes, told: object, name: str) -> Passkey:
        """
        Keep one that a browser has just made.

        :param challenge: what we have told it for that.
        :param told: the registration, as WebAuthn has it in JSON.
        :raises Refused: it is none, or there are too many, or the disk does not take it.
        """
        if len(self.all) >= MOST:
            raise Refused("there are as many passkeys as there may be")
        try:
            proved = self._server(told).register_complete(_state(challenge), _mapping(told))
            credential = proved.credential_data
        except Exception as trouble:  # fido2 raises what it likes of what is none
            raise Refused("this passkey cannot be used here") from trouble
        if credential is None or len(credential.credential_id) > LONGEST_ID:
            raise Refused("this passkey cannot be used here")
        shown = printable(name)[:LONGEST_NAME].strip() or "passkey"
        made = Passkey(
            to_text(credential.credential_id), to_text(bytes(credential)), shown, proved.counter, int(self._now())
        )
        self._keep({**self.all, made.id: made})
        self.told(f"{made.name} may log in")
        return made

    def remove(self, name: str) -> Passkey:
        """
        That one logs in no more.

        :param name: its id.
        :raises Refused: there is none of it, or the disk does not take that.
        """
        if name not in self.all:
            raise Refused("there is no such passkey")
        gone = self.all[name]
        self._keep({each: kept for each, kept in self.all.items() if each != name})
        self.told(f"{gone.name} may log in no more")
        return gone

    def prove(self, challenge: bytes, told: object) -> Passkey:
        """
        The one that has signed this challenge.

        :param told: the assertion, as WebAuthn has it in JSON.
        :raises Refused: none of ours has.
        """
        try:
            said = AuthenticationResponse.from_dict(_mapping(told))
            known = [AttestedCredentialData(from_text(each.key)) for each in self.all.values()]
            found = self._server(told).authenticate_complete(_state(challenge), known, said)
            count = said.response.authenticator_data.counter
        except Exception as trouble:  # fido2 raises what it likes of what is none
            raise Refused("this passkey is not known here") from trouble
        passkey = self.all[to_text(found.credential_id)]
        if (count or passkey.count) and count <= passkey.count:
            raise Refused("this passkey has been copied")
        if count != passkey.count:
            passkey = replace(passkey, count=count)
            now = {**self.all, passkey.id: passkey}
            try:
                self._keep(now)
            except Refused as no:  # no reason to keep anybody out: it is known until we end
                self.all = now
                self.told(f"the count of {passkey.name}: {no.reason}")
        return passkey


def _state(challenge: bytes) -> dict[str, Any]:
    return {"challenge": to_text(challenge), "user_verification": UserVerificationRequirement.REQUIRED}


def _mapping(told: object) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise MalformedFrame("passkey")
    return told
