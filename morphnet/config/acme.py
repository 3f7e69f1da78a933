"""Settings for a certificate that a coordinator gets by itself, by ACME."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from morphnet.config import checks
from morphnet.text import is_dns_name, is_number

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
HTTP_PORT = 80
MOST_NAMES = 20
_DIRECTORY = re.compile(r"https://[^\s]{1,300}")
_EMAIL = re.compile(r"[^\s@]{1,100}@[^\s@]{1,200}")


def _names(value: tuple[str, ...]) -> str | None:
    if len(value) > MOST_NAMES:
        return f"may hold {MOST_NAMES} names at most"
    for each in value:
        if not is_dns_name(each) or "." not in each or is_number(each) or len(each) > 253:
            return f"must hold DNS names in small letters, like home.example.org, not {each[:60]!r}"
    return None


def _directory(value: str) -> str | None:
    return None if _DIRECTORY.fullmatch(value) else f"must be the https:// address of a directory, like {LETS_ENCRYPT}"


def _email(value: str) -> str | None:
    return None if not value or _EMAIL.fullmatch(value) else "must be an e-mail address"


@dataclass(frozen=True, slots=True)
class AcmeConfig:
    """A certificate of a public CA, got and renewed by the coordinator itself: ACME, HTTP-01."""

    names: tuple[str, ...] = field(
        default=(),
        metadata={"check": _names, "help": "DNS names of the page: a certificate for them is got by ACME; [] for none"},
    )
    terms_agreed: bool = field(default=False, metadata={"help": "you have read the CA's terms, and agree to them"})
    email: str = field(default="", metadata={"check": _email, "help": "where the CA may write to; '' for nowhere"})
    directory: str = field(
        default=LETS_ENCRYPT, metadata={"check": _directory, "help": "address of the CA's ACME directory"}
    )
    ca_file: str = field(
        default="", metadata={"help": "PEM file with the CA that vouches for that address; '' for those of browsers"}
    )
    port: int = field(
        default=HTTP_PORT,
        metadata={"check": checks.port, "help": "TCP port where the CA looks; the world sees it as 80"},
    )
