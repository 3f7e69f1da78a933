"""What is said in settings of shapes, the disguises of what goes over UDP to the server."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Any

from morphnet.config.web import WEB

SHAPES = ("plain", "masked", "quic")  # the cheapest first: `auto` tries them in this order
AUTO = "auto"  # what the network lets through, found out
SHAPE_RETRY: dict[str, Any] = {
    "least": 1.0,
    "help": "with shape auto: after at most so many seconds cheaper shapes are tried again, and never at regular times",
}
SHAPE: dict[str, Any] = {
    "help": "plain; masked: what goes to the server looks like random bytes; quic: like HTTP/3; auto: the cheapest that"
    " the network lets through; web: HTTPS to a web server, and nothing else; see docs/shapes.md",
    "choices": (*SHAPES, AUTO, WEB),
}
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
LONGEST_NAME = 220  # characters: an Initial has no room for more beside 400 bytes and their padding


def sni_wrong(value: str) -> str | None:
    """What is wrong with a name to show, if anything."""
    if not value:
        return None
    named = len(value) <= LONGEST_NAME and all(_LABEL.fullmatch(label) for label in value.split("."))
    if named and not _is_address(value):
        return None
    return f"must be a host name of at most {LONGEST_NAME} characters, like www.example.org"


SNI: dict[str, Any] = {
    "check": sni_wrong,
    "help": "the name that `shape = quic` shows; '' shows the server's, if it has one; give another site's",
}


def sni_of(wished: str, servers: Sequence[str]) -> str:
    """
    The name to show; empty for none, as a browser does that is given an address.

    :param servers: HOST or HOST:PORT of each.
    """
    if wished:
        return wished
    host = servers[0].rpartition(":")[0] or servers[0] if servers else ""
    return "" if sni_wrong(host) else host


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
