"""
How a network goes over from one CA to the next, without anybody being invited anew.

1. `rotate`: there is a second CA, which is trusted beside the first. The first one says so: in its list of revocations,
   which reaches every machine, and those that come later. Machines renew under the second one at once. Servers and
   relays go on showing certificates of the first, so that whoever was away recognises them and hears of the second.
2. `rotate --finish`, when nobody is away any more, or by itself when the first CA is near its end: the first one's key
   is gone, and servers and relays renew under the second.
3. `rotate --finish` once more, or the first one's end: it is trusted no more.

On the CA's host `ca.key` and the first certificate in `ca.pem` are of the newest; `ca-before.key` is of the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from morphnet.durable import write_over
from morphnet.errors import ConfigError, Refused
from morphnet.pki.authority import DAY, Authority, describe, network_of
from morphnet.pki.files import (
    CA,
    authority_home,
    certificate_path,
    key_path,
    load_authority,
    read_key,
    trusted_cas,
    write_key,
)
from morphnet.pki.trust import bundle, networks_of
from morphnet.pki.unreadable import UNREADABLE

BEFORE = "ca-before"  # stem of the key of the CA before the newest
MARGIN = 60 * DAY  # seconds before its end at which servers leave the CA before

Serials = Callable[[], int]


@dataclass(frozen=True)
class Authorities:
    """Those that can sign now."""

    newest: Authority
    before: Authority | None = None  # while its key is there, and it is good for long enough

    @property
    def known(self) -> Authority:
        """The one that every machine trusts, also one that was away: for servers, invitations and lists."""
        return self.before or self.newest

    def of(self, certificate: x509.Certificate) -> Authority:
        """The one that has signed this; the newest, if it is neither."""
        issuer = describe(certificate).issuer
        for each in (self.before, self.newest):
            if each is not None and describe(each.certificate).issuer == issuer:
                return each
        return self.newest


def load_authorities(pki_dir: Path, serials: Serials = x509.random_serial_number, *, now: float) -> Authorities:
    """
    The network's CAs.

    :raises ConfigError: they are not here, or broken.
    """
    home = authority_home(pki_dir)
    cas, newest = trusted_cas(home), load_authority(home, serials)
    newest.announced = announced(cas)
    if not signs_before(home):
        return Authorities(newest)
    key = read_key(home, BEFORE)
    for each in cas[1:]:
        if each.public_key() == key.public_key() and isinstance(key, Ed25519PrivateKey):
            good = each.not_valid_after_utc.timestamp() - MARGIN > now
            return Authorities(newest, Authority(each, key, serials, newest.announced) if good else None)
    raise ConfigError(f"{key_path(home, BEFORE)} is of no CA in ca.pem: put back the right files")


def announced(cas: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """What lists of revocations say of the CAs: all of them, once there was a rotation; before it nothing."""
    rotated = len(cas) > 1 or set(networks_of(cas).values()) != {network_of(cas[0])}
    return tuple(cas) if rotated else ()


def rotate(pki_dir: Path, name: str, key: Ed25519PrivateKey, *, now: float) -> Authorities:
    """
    Step 1.

    :param name: of the network, for people.
    :param key: of the next CA.
    :raises ConfigError: the last rotation is not finished.
    """
    home = authority_home(pki_dir)
    cas, before = trusted_cas(home), load_authority(home)
    if len(cas) > 1 and cas[0] == before.certificate:  # else a rotation was cut short before it had begun
        raise ConfigError("there are two CAs: `morphnet pki rotate --finish` when every machine knows the newer one")
    network = next(iter(networks_of(cas).values()))
    following = Authority.found(name, key, x509.random_serial_number, now=now, network=network)
    old = read_key(home, CA)
    # In this order each step leaves a CA that can sign: the key says which one in ca.pem it is.
    write_key(home, BEFORE, old, replace=True)
    write_trusted(home, [following.certificate, before.certificate])
    write_key(home, CA, key, replace=True)
    return load_authorities(home, now=now)


def signs_before(home: Path) -> bool:
    """Whether the CA before can still sign. An empty key file is none: systemd's units want one that is there."""
    path = key_path(home, BEFORE)
    return path.exists() and path.stat().st_size > 0


def finished_at(home: Path) -> float:
    """Since when the CA before does not sign any more, Unix seconds; infinite as long as it does."""
    path = key_path(home, BEFORE)
    return float("inf") if signs_before(home) or not path.exists() else path.stat().st_mtime


def finish(pki_dir: Path, *, now: float) -> list[x509.Certificate]:
    """
    Step 2, or 3 when that was done.

    :returns: the CAs that are trusted now.
    :raises ConfigError: there is one CA alone.
    """
    home = authority_home(pki_dir)
    cas = trusted_cas(home)
    if len(cas) < 2:
        raise ConfigError("there is one CA, nothing to finish: `morphnet pki rotate` makes the next one")
    if signs_before(home):
        write_over(key_path(home, BEFORE), b"", mode=0o600)
    else:
        cas = cas[:1]
        write_trusted(home, cas)
    return cas


def write_trusted(directory: Path, cas: Sequence[x509.Certificate]) -> None:
    """The CAs that are trusted from now on, the one that signs first."""
    write_over(certificate_path(directory, CA), bundle(cas))


def follow(present: Sequence[x509.Certificate], told: Sequence[x509.Certificate], *, now: float) -> bool:
    """
    Whether to trust what a list of revocations announces, which a CA that is trusted has signed.

    :param present: CAs that are trusted.
    :raises Refused: what is announced are not CAs that are good now.
    """
    for each in told:
        try:
            each.verify_directly_issued_by(each)
            found = describe(each)
        except UNREADABLE:
            raise Refused("announced CA that is none") from None
        if found.kind != "ca":
            raise Refused("announced CA that is none")
    good = [each for each in told if each.not_valid_after_utc.timestamp() > now]
    return bool(good) and list(told) != list(present)
