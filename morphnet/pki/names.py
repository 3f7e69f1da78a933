"""What a machine may be called: the name is in its certificate, in file names and on terminals."""

from __future__ import annotations

import ipaddress
import re

from morphnet.errors import ConfigError

LONGEST_NAME = 63  # characters; it is a common name (at most 64) and may be one DNS label
RESERVED = frozenset({"ca", "server"})  # words of `morphnet pki renew`, and the CA's files

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")


def checked_name(text: str) -> str:
    """
    The name of a machine: small letters, digits, "-" and ".".

    :raises ConfigError: it cannot be one.
    """
    name = text.strip().lower()
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{text!r} is no name for a machine: use letters, digits, '-' and '.', at most {LONGEST_NAME} characters"
        )
    if name in RESERVED:
        raise ConfigError(f"{name!r} is a reserved word: choose another name")
    return name


def checked_host(text: str) -> str:
    """
    A DNS name or an IP address, as it stands in a certificate.

    :raises ConfigError: it is neither.
    """
    host = text.strip().lower()
    if host.startswith("[") and host.endswith("]") and ":" in host:
        host = host[1:-1]  # brackets belong to an IPv6 address
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    # All digits and dots is a mistyped address, not a name.
    if len(host) > 253 or not _NAME.fullmatch(host) or not re.search("[a-z]", host):
        raise ConfigError(f"{text!r} is neither a DNS name nor an IP address")
    return host


def split_address(text: str, port: int) -> tuple[str, int]:
    """
    Host and port of "HOST", "HOST:PORT", "[IPV6]:PORT" or a bare IPv6 address.

    :param port: the one when none is given.
    :raises ConfigError: it is none of them.
    """
    found = re.fullmatch(r"(?P<host>\[[^\]]*\]|[^:]*)(:(?P<port>[0-9]{1,5}))?", text.strip())
    if found is None:
        return checked_host(text), port  # a bare IPv6 address
    if found["port"] is not None:
        port = int(found["port"])
    if not 0 < port < 65536:
        raise ConfigError(f"{text!r} has a port outside of 1 .. 65535")
    return checked_host(found["host"]), port


def join_address(host: str, port: int) -> str:
    """ "HOST:PORT", with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
