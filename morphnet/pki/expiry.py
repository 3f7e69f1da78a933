"""When a certificate should have been renewed by now, and what its operator is told then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from cryptography import x509

from morphnet.pki.authority import DAY

SOON = 30 * DAY  # seconds before its end; it renews itself long before, so something is in the way
CA_SOON = 365 * DAY  # no certificate outlives its CA: from now on they are shorter and shorter


def trouble(what: str, not_after: float, cure: str, *, now: float, soon: float = SOON) -> str | None:
    """
    One sentence, or None while there is time.

    :param what: "our certificate", for example.
    :param not_after: its end; Unix seconds, as `now`.
    """
    left, day = not_after - now, datetime.fromtimestamp(not_after, UTC).strftime("%Y-%m-%d")
    if left <= 0:
        return f"{what} has ended on {day}: {cure}"
    if left <= soon:
        days = int(left // DAY)
        return f"{what} ends in {days} day{'' if days == 1 else 's'}, on {day}: {cure}"
    return None


def troubles(
    certificate: x509.Certificate, cas: Iterable[x509.Certificate], cure: str, *, now: float
) -> tuple[str, ...]:
    """
    The sentences about a machine's own certificate and the newest of its CAs.

    :param cure: what to do when the certificate was not renewed.
    """
    ends = max(ca.not_valid_after_utc.timestamp() for ca in cas)
    turn = "run `morphnet pki rotate` where the CA is; machines follow by themselves"
    found = (
        trouble("our certificate", certificate.not_valid_after_utc.timestamp(), cure, now=now),
        trouble("the network's CA", ends, turn, now=now, soon=CA_SOON),
    )
    return tuple(filter(None, found))
