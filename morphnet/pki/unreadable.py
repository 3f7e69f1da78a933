"""
What reading X.509 that somebody else wrote may raise, in one place: no parser of certificates, requests or lists is
left with a part of it.

Source: cryptography's documentation of `x509`; `make fuzz` (an InvalidVersion of a list came through).
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

UNREADABLE = (
    ValueError,
    TypeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
