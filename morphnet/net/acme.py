"""
A certificate of a public CA, by ACME: the conversation that gets it.

HTTP-01, which needs port 80 of the name: TLS-ALPN-01 would do with 443, but certbot's library knows it no more.
The library waits for each answer, so the whole has a thread of its own.

Source: RFC 8555; HTTP-01 is its section 8.3.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import Any, cast

import requests
from acme import challenges, client, crypto_util, errors, messages
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWKEC
from josepy.util import ComparableECKey
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from morphnet.errors import PeerError
from morphnet.text import printable

WITHIN = 120.0  # seconds for the CA to look, and to sign
ANSWER_WITHIN = 30  # seconds for one answer
LONGEST = 300  # characters of what a CA says

Show = Callable[[str, bytes], None]  # a token, and what is to be said at its path


class NoCertificate(PeerError):
    """The CA gives none; the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Who is asked, and as whom."""

    directory: str  # its address, https://...
    account: bytes  # our key there, PEM
    email: str = ""  # "" for none
    ca_file: str = ""  # who vouches for that address; "" for whom browsers trust


def make_key() -> bytes:
    """A key for an account, or for a certificate: P-256, PEM."""
    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def issue(authority: Authority, names: tuple[str, ...], show: Show) -> bytes:
    """
    Get a certificate for these DNS names, under a new key; takes seconds to minutes.

    :param show: is told what the CA is going to look for, before it looks.
    :returns: key, certificate and its chain, PEM.
    :raises NoCertificate: there is none.
    """
    try:
        return _issue(authority, names, show)
    except (errors.Error, JoseError, requests.RequestException, OSError, ValueError) as trouble:
        raise NoCertificate(_words(trouble)) from trouble


def _issue(authority: Authority, names: tuple[str, ...], show: Show) -> bytes:
    ends = datetime.datetime.now() + datetime.timedelta(seconds=WITHIN)
    ca = _enter(authority)
    key = make_key()
    order = ca.new_order(crypto_util.make_csr(key, list(names)))
    for authorization in order.authorizations:
        if authorization.body.status == messages.STATUS_PENDING:
            _prove(ca, authorization, show)
    done = ca.poll_and_finalize(order, ends)
    return key + done.fullchain_pem.encode("ascii")


def _enter(authority: Authority) -> client.ClientV2:
    """With our account, which is made where there is none."""
    loaded = cast(EllipticCurvePrivateKey, load_pem_private_key(authority.account, None))
    key = JWKEC(key=ComparableECKey(loaded))
    verify: Any = authority.ca_file or True
    net = client.ClientNetwork(key, alg=ES256, verify_ssl=verify, user_agent="morphnet", timeout=ANSWER_WITHIN)
    ca = client.ClientV2(client.ClientV2.get_directory(authority.directory, net), net)
    contact = (f"mailto:{authority.email}",) if authority.email else ()
    asked = messages.NewRegistration(contact=contact, terms_of_service_agreed=True)
    try:
        ca.new_account(asked)
    except errors.ConflictError as there:  # it is there already
        net.account = messages.RegistrationResource(body=messages.Registration(), uri=there.location)
    return ca


def _prove(ca: client.ClientV2, authorization: messages.AuthorizationResource, show: Show) -> None:
    """Say that a name is ours."""
    for each in authorization.body.challenges:
        if isinstance(each.chall, challenges.HTTP01):
            answer, said = each.response_and_validation(ca.net.key)
            show(each.chall.encode("token"), said.encode("ascii"))
            ca.answer_challenge(each, answer)
            return
    raise NoCertificate(f"the CA does not take HTTP-01 for {authorization.body.identifier.value}")


def _words(trouble: Exception) -> str:
    """What went wrong, as the CA puts it, or where it is not reached."""
    said = f"the CA is not reached: {type(trouble).__name__}"
    if isinstance(trouble, errors.ValidationError):
        said = _refused(trouble)
    elif isinstance(trouble, errors.IssuanceError):
        said = f"the CA says: {trouble.error.detail or trouble.error.typ}"
    elif isinstance(trouble, messages.Error):
        said = f"the CA says: {trouble.detail or trouble.typ}"
    elif isinstance(trouble, errors.TimeoutError):
        said = f"the CA was not ready within {WITHIN:.0f} s"
    elif isinstance(trouble, requests.exceptions.SSLError):
        said = "the CA's own certificate is none that 'ca_file', or a browser, would trust"
    elif not isinstance(trouble, requests.RequestException):
        said = f"what the CA says, or 'ca_file', makes no sense: {trouble}"
    return printable(said)[:LONGEST]


def _refused(trouble: errors.ValidationError) -> str:
    for authorization in trouble.failed_authzrs:
        for each in authorization.body.challenges:
            if each.error is not None:
                return f"the CA has looked at {authorization.body.identifier.value} and says: {each.error.detail}"
    return "the CA has looked, and does not say what it misses"


def apart(reactor: Any, work: Callable[[], bytes]) -> Deferred[bytes]:
    """Do that in a thread for which nobody waits when the process ends."""
    done: Deferred[bytes] = Deferred()

    def run() -> None:
        try:
            found = work()
        except BaseException:  # it is told, by the reactor's thread
            reactor.callFromThread(done.errback, Failure())
        else:
            reactor.callFromThread(done.callback, found)

    Thread(target=run, name="acme", daemon=True).start()
    return done
