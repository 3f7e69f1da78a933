"""What a node knows of revoked certificates, kept over restarts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from twisted.logger import Logger

from morphnet.errors import Refused
from morphnet.net.tls import Identity
from morphnet.pki.files import make_directory, write_over
from morphnet.pki.revocations import RevocationList, read_revocations

FILE = "revoked.pem"  # in state_dir


class Revoked:
    """The newest list that our CA has signed, as far as we have heard of it."""

    _log = Logger()

    def __init__(self, identity: Callable[[], Identity], state_dir: Path) -> None:
        self._ca = x509.load_pem_x509_certificate(identity().ca)
        self._path = state_dir / FILE
        self._known: RevocationList | None = None
        if self._path.exists():
            self._take(self._path.read_text("ascii", "replace"))

    @property
    def serials(self) -> frozenset[str]:
        """Of what is revoked, hex."""
        return self._known.serials if self._known is not None else frozenset()

    @property
    def pem(self) -> str:
        """The list, or ""."""
        return self._known.pem if self._known is not None else ""

    def learn(self, pem: str) -> bool:
        """A relay has a list: whether it is news."""
        if not self._take(pem):
            return False
        make_directory(self._path.parent)
        write_over(self._path, pem.encode("ascii"), mode=0o600)
        return True

    def _take(self, pem: str) -> bool:
        try:
            found = read_revocations(pem, self._ca)
        except Refused as refused:
            self._log.warn("a list of revocations is not used: {reason}", reason=refused.reason)
            return False
        if self._known is not None and found.number <= self._known.number:
            return False
        self._known = found
        return True
