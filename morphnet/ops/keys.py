"""Keys of the manhole: its own, and the local operator's."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import SSHPrivateKeyTypes

from morphnet.durable import write_over
from morphnet.errors import HostError

# What is raised for a text that is no key, or not a whole one.
_NO_KEY = (UnsupportedAlgorithm, ValueError, TypeError, LookupError, OverflowError)


def load_or_make(path: Path) -> SSHPrivateKeyTypes:
    """
    The Ed25519 key at `path`, in OpenSSH's format; made now (mode 0600) when there is none.

    :raises HostError: it cannot be read or made, or others could have read it.
    """
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise HostError(f"others may read the key {path}: remove it, then a new one is made")
        return serialization.load_ssh_private_key(path.read_bytes(), None)
    except OSError as error:
        raise HostError(f"cannot use the key {path}: {error.strerror}") from error
    except _NO_KEY as error:
        raise HostError(f"{path} is not a key in OpenSSH's format: remove it, then a new one is made") from error


def public_line(key: SSHPrivateKeyTypes) -> str:
    """Its public half, as OpenSSH writes it: "ssh-ed25519 AAAA..."."""
    written = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return written.decode()


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    write_over(path, private, mode=0o600)
