"""Whose certificate it is, when a machine was called by a name or an address."""

from __future__ import annotations

from cryptography import x509
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address

from morphnet.wire.fields import is_address


def carries(certificate: x509.Certificate, host: str) -> bool:
    """Whether this DNS name or IP address is in the certificate's subjectAltName. Source: RFC 6125 section 6."""
    try:
        (verify_certificate_ip_address if is_address(host) else verify_certificate_hostname)(certificate, host)
    except (VerificationError, CertificateError, ValueError):  # the last: it is no name that DNS knows
        return False
    return True
