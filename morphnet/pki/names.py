"""What a machine may be called: the name is in its certificate, in file names and on terminals."""

from __future__ import annotations

import ipaddress
import re

from morphnet.errors import ConfigError
from morphnet.text import LONGEST_NAME, is_dns_name, is_number, is_occupied

RESERVED = frozenset({"ca", "server"})  # words of `morphnet pki renew`, and the CA's files
LONGEST_HOST = 253  # characters of a DNS name


def checked_name(text: str) -> str:
    """
    The name of a machine: small letters, digits, "-" and ".", and nothing that is taken for an address.

    :raises ConfigError: it cannot be one.
    """
    name = text.strip().lower()
    if len(name) > LONGEST_NAME or not is_dns_name(name):
        raise ConfigError(
            f"{text!r} is no name for a machine: use letters, digits, '-' and '.', at most {LONGEST_NAME} characters"
        )
    if is_number(name):
        raise ConfigError(f"{name!r} would be taken for an address: choose a name whose last part is not a number")
    if name in RESERVED or is_occupied(name):
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
        if "%" not in host:  # a zone could be any text, and means something on one machine only
            return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    if len(host) > LONGEST_HOST or not is_dns_name(host) or is_number(host):  # a number is a mistyped address
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
