"""
What a backup holds, as one file: a compressed tar archive, of plain files alone.

    backup.json                          {"version": 1, "root": the directory of the configuration}
    server.toml relay.toml authorized_keys
    pki/NAME.pem pki/NAME.key ...        keys and certificates, the CA's among them
    ca/...                               the CA's key, where it has a directory of its own
    state/morphnet.db                    the records, as they were at one moment
    state/revocations.pem                the last signed list
    signer/book                          what the CA has signed
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from morphnet.cli.layout import Place, ledger_in
from morphnet.config.file import loads
from morphnet.config.roles import ServerConfig
from morphnet.errors import ConfigError
from morphnet.pki.book import FILE as BOOK
from morphnet.pki.book import signer_directory
from morphnet.pki.files import CA
from morphnet.rights import rights_of
from morphnet.store.ledger import DATABASE

LIST = "revocations.pem"  # in state_dir: see roles/certificates/publishing
RECORDS = f"state/{DATABASE}"
_ABOUT, _VERSION = "backup.json", 1
_NAME = re.compile(
    rf"{re.escape(_ABOUT)}|(server|relay|policy)\.toml|authorized_keys|(pki|ca)/[A-Za-z0-9][A-Za-z0-9._-]{{0,99}}"
    rf"|state/({re.escape(DATABASE)}|{re.escape(LIST)})|signer/{BOOK}"
)
_NEEDED = frozenset({_ABOUT, "server.toml", f"pki/{CA}.pem", RECORDS})
_MOST = 1 << 28  # bytes unpacked


@dataclass(frozen=True, slots=True)
class Backup:
    """The files of one network, by their names in the archive."""

    files: Mapping[str, bytes]
    config: ServerConfig  # what its server.toml says

    def target(self, name: str, place: Place) -> Path:
        """Where a file of this name belongs."""
        part, _, rest = name.rpartition("/")
        return directories(place, self.config)[part] / rest


def directories(place: Place, config: ServerConfig) -> dict[str, Path]:
    """Where the parts of a network are."""
    return {
        "": place.root,
        "pki": config.pki_dir,
        "ca": config.pki_dir.with_name(CA),
        "state": config.state_dir,
        "signer": signer_directory(config.state_dir),
    }


def gather(place: Place, config: ServerConfig) -> dict[str, bytes]:
    """
    All of a network that a backup holds; its processes may run meanwhile.

    :raises ConfigError: its records are lost.
    :raises HostError: something cannot be read.
    """
    found = {_ABOUT: json.dumps({"version": _VERSION, "root": str(place.root)}).encode()}
    with ledger_in(config.state_dir) as ledger:
        found[RECORDS] = ledger.image()
    for part, directory in directories(place, config).items():
        with rights_of(directory):
            if not directory.is_dir():
                continue
            for path in sorted(directory.iterdir()):
                name = f"{part}/{path.name}" if part else path.name
                if name != RECORDS and _NAME.fullmatch(name) and path.is_file():
                    found[name] = path.read_bytes()
    return found


def pack(files: Mapping[str, bytes], now: float) -> bytes:
    """:param now: Unix seconds."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size, about.mode, about.mtime = len(content), 0o600, int(now)
            archive.addfile(about, io.BytesIO(content))
    return packed.getvalue()


def unpack(path: Path, place: Place) -> Backup:
    """
    A backup; where it is to be put elsewhere than where it was made, its configuration names the new place.

    :raises ConfigError: it is none, or not a whole one.
    :raises OSError: it cannot be read.
    """
    with path.open("rb") as file:
        try:
            files = _members(file)
            about = json.loads(files.get(_ABOUT, b"{}"))
            version, root = int(about["version"]), Path(about["root"])
        except (tarfile.TarError, EOFError, zlib.error, KeyError, ValueError, TypeError, RecursionError, OSError):
            raise ConfigError(f"{path} is no backup of morphnet's, or not a whole one: give another") from None
    if version > _VERSION:
        raise ConfigError(f"{path} was made by a later morphnet: install that one")
    if missing := sorted(_NEEDED - files.keys()):
        raise ConfigError(f"{path} is not a whole backup, {', '.join(missing)} is missing: give another")
    for name in ("server.toml", "relay.toml"):
        if name in files:
            files[name] = _moved(files[name], Place(root), place)
    return Backup(files, loads(ServerConfig, files["server.toml"].decode("utf-8", "replace"), place.server_toml))


def _members(file: io.BufferedReader) -> dict[str, bytes]:
    """:raises ValueError: there is something in it that we never put there."""
    files = dict[str, bytes]()
    with gzip.open(file) as whole:  # to its very end, where the check sum is: tarfile would stop before
        content = whole.read(_MOST + 1)
    if len(content) > _MOST:
        raise ValueError("too large")
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for member in archive:
            part = archive.extractfile(member) if member.isreg() else None
            if part is None or not _NAME.fullmatch(member.name):
                raise ValueError(member.name)
            files[member.name] = part.read()
    return files


def _moved(text: bytes, old: Place, new: Place) -> bytes:
    """A configuration file whose paths were those of one place, for another."""
    for relay in (True, False):
        before, after = (_paths(each, relay) for each in (old, new))
        for key, path in before.items():
            text = text.replace(f'{key} = "{path}"\n'.encode(), f'{key} = "{after[key]}"\n'.encode())
    return text


def _paths(place: Place, relay: bool) -> dict[str, Path]:
    settings = place.settings(relay=relay)
    return {**{key: settings[key] for key in ("pki_dir", "state_dir", "run_dir")}, **settings["manhole"]}
