"""What browsers reach at home besides files and terminals: settings of `twistd morph-home`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])"
_PLACE = re.compile(rf"{_HOST}:([0-9]{{1,5}})|/[\x21-\x7e]{{1,100}}")
_URL = re.compile(rf"https?://({_HOST}(?::[0-9]{{1,5}})?)(/[\x21-\x7e]*)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")


def _good(place: str) -> bool:
    found = _PLACE.fullmatch(place)
    return found is not None and (found[1] is None or 0 < int(found[1]) < 65536)


def _place(value: str) -> str | None:
    good = not value or _good(value)
    return None if good else "must be HOST:PORT, as 127.0.0.1:5900, or the path of a socket"


def named(values: tuple[str, ...]) -> dict[str, str]:
    """What stands behind each name in lines of NAME=PLACE."""
    return {name.strip(): place.strip() for name, _, place in (each.partition("=") for each in values)}


def _places(value: tuple[str, ...]) -> str | None:
    found = named(value)
    good = len(found) == len(value) and all(_NAME.fullmatch(name) and _good(found[name]) for name in found)
    return None if good else "must be lines of NAME=HOST:PORT, as console=192.168.1.9:4001, each with a name of its own"


def _pages(value: tuple[str, ...]) -> str | None:
    found = named(value)
    good = len(found) == len(value) and all(_NAME.fullmatch(name) and _page(found[name]) for name in found)
    return None if good else "must be lines of NAME=URL, as router=http://192.168.1.1/, each with a name of its own"


def _page(url: str) -> bool:
    found = _URL.fullmatch(url)
    return found is not None and _good(found[1] if found[1].rpartition(":")[2].isdigit() else f"{found[1]}:80")


@dataclass(frozen=True, slots=True)
class VncConfig:
    """A desktop for browsers."""

    server: str = field(
        default="",
        metadata={
            "check": _place,
            "help": "HOST:PORT of a VNC server whose desktop browsers may use, or the path of its socket; '' for none",
        },
    )


@dataclass(frozen=True, slots=True)
class TcpConfig:
    """Services that speak in lines, as serial consoles and telnet do."""

    services: tuple[str, ...] = field(
        default=(),
        metadata={"check": _places, "help": "NAME=HOST:PORT of each service that browsers may talk to"},
    )


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Web pages of machines at home."""

    services: tuple[str, ...] = field(
        default=(),
        metadata={"check": _pages, "help": "NAME=URL of each page that browsers may see, all of its host and port"},
    )


@dataclass(frozen=True, slots=True)
class PasskeysConfig:
    """Passkeys, beside the password."""

    enabled: bool = field(default=False, metadata={"help": "let who is logged in add passkeys, and passkeys log in"})
