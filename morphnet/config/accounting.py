"""Settings of a server for what each user has carried: limits, and where it is reported."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_AMOUNT = re.compile(r"([0-9]{1,15})([kMGT]?)")
_TIMES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
MOST = 1 << 62  # bytes: what the records can hold
LONGEST_URL = 1000
_URL = re.compile(
    r"https?://(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?(?:/[!$-.0-;=A-Z_a-z~/]*)?"
)
OLD = "old:"  # in front of the user that a client of the original says it is: no certificate has such a name


def read_amount(text: str) -> int | None:
    """Bytes of "100G"; None when it says none."""
    found = _AMOUNT.fullmatch(text.strip())
    octets = int(found[1]) * _TIMES[found[2]] if found else MOST
    return octets if octets < MOST else None


def amount(value: str) -> str | None:
    if not value or read_amount(value) is not None:
        return None
    return "must be a number of bytes, with k, M, G or T for thousands, like 100G; '' for no limit"


def of_each(value: tuple[str, ...]) -> str | None:
    for each in value:
        name, _, octets = each.rpartition("=")
        if not name or amount(octets) is not None:
            return f"has {each[:80]!r}: write NAME=BYTES, like laptop=100G, or NAME= for no limit"
    return None


def url(value: str) -> str | None:
    found = _URL.fullmatch(value)
    if value and (found is None or not 0 < int(found[1] or 1) < 65536):
        return "must be a URL like https://billing.example/morphnet, without user, ? and #"
    return None if len(value) <= LONGEST_URL else "is too long"


def absolute(value: str) -> str | None:
    return (
        None if not value or (value.startswith("/") and "\0" not in value) else "must begin with /, or be '' for none"
    )


@dataclass(frozen=True, slots=True)
class AccountingConfig:
    """What a user may carry in a month, and who is told of it."""

    quota: str = field(
        default="",
        metadata={
            "check": amount,
            "help": "payload that each user may carry in a month (UTC), both ways together, like 100G; '' for no limit",
        },
    )
    quotas: tuple[str, ...] = field(
        default=(),
        metadata={"check": of_each, "help": "NAME=BYTES for users with another limit; old:USER for old clients"},
    )
    webhook: str = field(
        default="",
        metadata={
            "check": url,
            "help": "URL that is told of this server, its sessions and each user's traffic, as the original told its"
            " API; '' for none",
        },
    )
    webhook_token_file: str = field(
        default="", metadata={"check": absolute, "help": "file with what is sent as Authorization; '' for nothing"}
    )
    webhook_key: bool = field(
        default=False, metadata={"help": "tell it the key string of old clients too, as the original did"}
    )
    webhook_every_s: float = field(
        default=600.0, metadata={"help": "seconds between reports of traffic to the webhook"}
    )

    def tells_secrets(self) -> bool:
        """Whether a secret would go over a network in the clear."""
        near = re.match(r"https:|http://(127\.[0-9.]+|localhost|\[::1\])(?=[:/]|$)", self.webhook)
        return bool(self.webhook and (self.webhook_key or self.webhook_token_file) and not near)

    def limit_of(self, name: str) -> int | None:
        """Bytes that this user may carry in a month; None for no limit."""
        own = {each.rpartition("=")[0].strip(): each.rpartition("=")[2] for each in self.quotas}
        said = own.get(name, self.quota)
        return read_amount(said) if said else None
