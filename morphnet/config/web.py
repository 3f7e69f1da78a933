"""
What is said in settings of a web server between a client and its server: where it is, and where it hands on to.

Source: docs/shapes, "web".
"""

from __future__ import annotations

import ipaddress
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from morphnet.config import checks

WEB = "web"  # the shape


class WebPlace(NamedTuple):
    """What is asked for."""

    host: str
    port: int  # TCP
    path: str  # from its / on


def web_place(url: str) -> WebPlace:
    """:param url: as `web_wrong` has found it right."""
    parts = urlsplit(url)
    return WebPlace(parts.hostname or "", parts.port or 443, parts.path)


def web_way(shape: str, url: str) -> str:
    """Of these settings: the address where everything goes through; empty where nothing does."""
    return url if shape == WEB else ""


def web_wrong(value: str) -> str | None:
    """What is wrong with the address of a path at a web server, if anything."""
    return None if not value or _is_right(value) else "must be like https://www.example.org/a-path-of-your-choice"


def _is_right(value: str) -> bool:
    try:
        parts: SplitResult = urlsplit(value)
        named = parts.scheme == "https" and _is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        return False
    only = value.isascii() and value.isprintable() and " " not in value
    return named and only and len(parts.path) > 1 and not (parts.query or parts.fragment or parts.username)


def _is_host(name: str) -> bool:
    """Whether it can be asked for in TLS."""
    import idna  # its tables take some milliseconds

    try:
        ipaddress.ip_address(name)
    except ValueError:
        try:
            idna.encode(name)
        except idna.IDNAError:
            return False
    return True


WEB_URL: dict[str, Any] = {
    "check": web_wrong,
    "help": "with shape web: https://HOST/PATH, what the web server hands on to the server, see docs/shapes.md",
}
WEB_PORT: dict[str, Any] = {
    "least": 0,
    "check": checks.port_or_any,
    "help": "TCP port on loopback where a web server hands on clients with shape web, see docs/shapes.md; 0: none",
}
