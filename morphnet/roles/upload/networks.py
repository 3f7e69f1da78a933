"""From what kind of network somebody comes, as far as an address tells: for who looks, not for who decides."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address, ip_network

from twisted.python.failure import Failure

from morphnet.net.http import Exchange
from morphnet.store.base import Move, Uploads

_CELLULAR = (ip_network("10.0.0.0/8"), ip_network("100.64.0.0/10"))  # what providers give to phones
_HOME = ip_network("192.168.0.0/16")


def network_of(address: str, agent: str) -> str:
    """
    One of cellular_lte, wifi_private, mobile_unknown and wired_ethernet.

    :param agent: the User-Agent.
    """
    try:
        known = ip_address(address)
    except ValueError:
        known = None
    known = getattr(known, "ipv4_mapped", None) or known
    if known is not None and any(known in each for each in _CELLULAR):
        return "cellular_lte"
    if known is not None and known in _HOME:
        return "wifi_private"
    return "mobile_unknown" if "Mobile" in agent or "Android" in agent else "wired_ethernet"


def note_move(uploads: Uploads, path: str, exchange: Exchange, now: int, counts: Counter[str]) -> None:
    """From where an upload comes now, Unix seconds; nobody waits for that."""

    def not_noted(failure: Failure) -> None:
        failure.trap(OSError)
        counts["uploads_without_room"] += 1

    network = network_of(exchange.caller, exchange.headers.get("user-agent", ""))
    uploads.moved(path, Move(now, network, exchange.caller)).addErrback(not_noted)
