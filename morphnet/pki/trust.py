"""
Whom a machine trusts: one CA, or several while the network goes over from one to the next. And what must be true of a
certificate that is to replace the one before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cryptography import x509

from morphnet.errors import ConfigError, Refused
from morphnet.pki.authority import NETWORK, Description, PublicKey, as_pem, check, describe, names_of, network_of
from morphnet.pki.unreadable import UNREADABLE

FOREIGN = "certificate of a foreign CA"  # what `check` says of a signature that is not this CA's


def read_cas(pem: bytes, where: str = "the file of CAs") -> list[x509.Certificate]:
    """
    The CAs of a bundle, the one that signs first.

    :param where: what to call it to the operator.
    :raises ConfigError: it is none.
    """
    try:
        found = x509.load_pem_x509_certificates(pem)
    except UNREADABLE:
        found = []
    if not found:
        raise ConfigError(f"{where} has no CA certificate in PEM: put back the right file")
    return found


def bundle(cas: Iterable[x509.Certificate]) -> bytes:
    """The same in PEM."""
    return b"".join(as_pem(each) for each in cas)


def networks_of(cas: Sequence[x509.Certificate]) -> dict[str, str]:
    """
    Which network each CA stands for: `network_of` -> network. Those of one network stand for the same, for ever.

    :param cas: all of one network, the newest first; nobody else's, for they say so themselves.
    """
    own = network_of(cas[0])
    for each in cas[0].extensions:
        if each.oid == NETWORK and isinstance(each.value, x509.UnrecognizedExtension):
            own = each.value.value.hex()
    return {network_of(each): own for each in cas}


def check_among(
    certificate: x509.Certificate, cas: Sequence[x509.Certificate], kind: str, name: str, *, now: float
) -> Description:
    """
    See `authority.check`: one of these CAs must have signed.

    :raises Refused: the certificate is not what it is taken for; the reason says why.
    """
    why = Refused(FOREIGN)
    for ca in cas:
        try:
            return check(certificate, ca, kind, name, now=now)
        except Refused as refused:
            if refused.reason != FOREIGN:
                why = refused
    raise why


def check_successor(
    successor: x509.Certificate,
    present: x509.Certificate,
    key: PublicKey,
    cas: Sequence[x509.Certificate],
    *,
    now: float,
) -> Description:
    """
    That a certificate may stand in the place of another one, before it does.

    :param key: the holder's own public key.
    :param now: Unix seconds.
    :raises Refused: it is of another CA, key, usage, name or address, not good now, or no better than what is there.
    """
    before = describe(present)
    found = check_among(successor, cas, before.kind, before.name, now=now)
    if successor.public_key() != key:
        raise Refused("certificate for another key")
    # Inner addresses may be added to a certificate that is older than they are.
    added = not before.addresses and before.kind == "client"
    names, wanted = names_of(successor), names_of(present)
    if names[: len(wanted)] != wanted or (len(names) != len(wanted) and not added):
        raise Refused("certificate of other names")
    if found.not_after < before.not_after and before.not_before <= now:
        raise Refused("certificate that ends sooner than the present one")
    return found
