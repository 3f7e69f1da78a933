"""Who signs for the processes that listen."""

from __future__ import annotations

import time
from collections.abc import Sequence

from morphnet.config import RelayConfig, ServerConfig
from morphnet.pki.authority import Issued
from morphnet.pki.book import Book, signer_directory
from morphnet.pki.files import load_authority
from morphnet.pki.signing import Signer


class InProcess:
    """A signer that answers later."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    async def join(self, invitation_pem: str, csr_pem: str, addresses: Sequence[str]) -> Issued:
        """See enrolment.Signer."""
        return self._signer.join(invitation_pem, csr_pem, addresses)

    async def renew(self, certificate_pem: str, csr_pem: str, addresses: Sequence[str]) -> Issued:
        """See enrolment.Signer."""
        return self._signer.renew(certificate_pem, csr_pem, addresses)


def signer_for(config: ServerConfig | RelayConfig) -> InProcess:
    """:raises ConfigError: the CA is not here, or broken."""
    authority = load_authority(config.pki_dir)
    return InProcess(Signer(authority, [authority.certificate], Book(signer_directory(config.state_dir)), time.time))
