"""`morphnet backup` and `morphnet restore`: all of a network in one file, and back."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import click

from morphnet.cli.archive import LIST, RECORDS, Backup, gather, pack, unpack
from morphnet.cli.layout import Place, dir_option, ledger_in, load_server, now
from morphnet.config.roles import ServerConfig
from morphnet.durable import make_directory, write_new, write_over
from morphnet.errors import ConfigError, HostError, Refused
from morphnet.ops.rundir import JOURNAL
from morphnet.pki.authority import CLIENT_LIFETIME, serial_text
from morphnet.pki.book import Book, Entries, signer_directory
from morphnet.pki.files import CA, read_certificate
from morphnet.pki.revocations import from_text
from morphnet.rights import rights_of
from morphnet.store.base import CertificateRecord, Lease
from morphnet.store.database import BESIDE
from morphnet.store.ledger import DATABASE, Ledger, RecordsDamaged, RecordsLost

_LOCKS = (f"{JOURNAL}.lock", "relay-journal.lock")  # in state_dir: a server and a relay hold them while they run
Summary = tuple[list[CertificateRecord], list[Lease], dict[str, tuple[int, int]]]
_OPEN = ("pem", "toml")  # ends of files that are no secret


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Replace the file if it is there.")
@dir_option
def backup(file: Path, replace: bool, place: Place) -> None:
    """
    Write all of this network to FILE: the CA, keys, configuration, and the records as they are now.

    Server and relay may run meanwhile. Whoever has the file owns the network.
    """
    files = gather(place, load_server(place))
    if file.exists() and not replace:
        raise ConfigError(f"{file} is there already: give another file, or --replace")
    (write_over if replace else write_new)(file, pack(files, now()), mode=0o600)
    click.echo(f"All of the network is in {file}: whoever has it owns the network, so keep it in a safe place.")
    click.echo(f"Back: morphnet restore {file}{place.option()}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--from-book", is_flag=True, help="Without a backup: make lost records from what the CA has signed.")
@click.option("--replace", is_flag=True, help="Replace what is there.")
@dir_option
def restore(file: Path | None, from_book: bool, replace: bool, place: Place) -> None:
    """
    Put back what `morphnet backup` wrote to FILE, while nothing of it runs.

    What was revoked since stays revoked, as far as the signed list beside the records says so.
    """
    if (file is None) is not from_book:
        raise ConfigError("give the FILE that `morphnet backup` wrote, or --from-book if there is none")
    if file is None:
        config = load_server(place)
        with _stopped(config):
            _from_book(config, replace)
        return
    found = unpack(file, place)
    with _stopped(found.config):
        found, records = _checked(found, file)
        names = [name for name in found.files if name != "backup.json" and not _is_later(found, name, place)]
        if not replace:
            _check_room(found, names, records, place)
        for name in names:  # the records come last
            _put(found.target(name, place), found.files[name])
    click.echo(
        f"The network is as it was in {file}. Next: twistd -n morph-server{place.config_option(place.server_toml)}"
    )


@contextmanager
def _stopped(config: ServerConfig) -> Iterator[None]:
    """:raises ConfigError: a server or relay works with these records."""
    with ExitStack() as held:
        with rights_of(config.state_dir):
            for path in (config.state_dir / each for each in _LOCKS):
                try:
                    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
                except OSError:
                    continue  # nobody ever ran here
                held.callback(os.close, descriptor)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise ConfigError(f"a process works with what is in {config.state_dir}: stop it first") from None
        yield


def _checked(found: Backup, file: Path) -> tuple[Backup, Summary]:
    """
    The same, its records as this version of morphnet has them, and what they say.

    :raises ConfigError: they are no good.
    """
    with tempfile.TemporaryDirectory(prefix="morphnet-restore-") as place:
        path = Path(place) / DATABASE
        path.write_bytes(found.files[RECORDS])
        try:
            records = _summary(path)
        except (ConfigError, HostError):
            raise ConfigError(f"the records in {file} are of a later morphnet, or no good: give another") from None
        content = path.read_bytes()
    files = {name: each for name, each in found.files.items() if name != RECORDS}
    return Backup({**files, RECORDS: content}, found.config), records


def _summary(path: Path) -> Summary:
    """
    What records say.

    :raises RecordsLost: they are gone.
    :raises RecordsDamaged: as it says.
    """
    with closing(Ledger.of_network(path)) as ledger:
        return ledger.certificates(), ledger.leases(), ledger.traffic()


def _is_later(found: Backup, name: str, place: Place) -> bool:
    """Whether what is there says all that the backup does, and more: what only grows never goes back."""
    path = found.target(name, place)
    with rights_of(path.parent):
        there = path.read_bytes() if path.is_file() else b""
    if name == "signer/book":
        return there.startswith(found.files[name])
    if name != f"state/{LIST}" or not there:
        return False
    from cryptography import x509

    cas = x509.load_pem_x509_certificates(found.files[f"pki/{CA}.pem"])
    try:
        kept = from_text(there.decode("ascii", "replace"), *cas).number
        return kept >= from_text(found.files[name].decode("ascii", "replace"), *cas).number
    except Refused:
        return False


def _check_room(found: Backup, names: list[str], records: Summary, place: Place) -> None:
    """:raises ConfigError: something would be lost."""
    for name in names:
        path = found.target(name, place)
        with rights_of(path.parent):
            there = path.exists() and path.read_bytes() != found.files[name]
            there = there and (name != RECORDS or _has_others(path, records))
        if there:
            raise ConfigError(f"{path} is there, and other than in the backup: --replace if it may be lost")


def _has_others(path: Path, records: Summary | None) -> bool:
    """Whether there are records, and not the same."""
    try:
        return _summary(path) != records
    except RecordsLost:
        return False
    except RecordsDamaged:
        return True  # somebody may want to look


def _put(path: Path, content: bytes) -> None:
    mode = 0o644 if path.suffix[1:] in _OPEN else 0o600
    with rights_of(path.parent):
        make_directory(path.parent)
        if path.name == DATABASE:
            for suffix in BESIDE:  # of the database that goes
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        write_over(path, content, mode=mode)


def _from_book(config: ServerConfig, replace: bool) -> None:
    """The records, as far as the CA's book knows them."""
    path, directory = config.state_dir / DATABASE, signer_directory(config.state_dir)
    with rights_of(config.state_dir):
        if not replace and _has_others(path, None):
            raise ConfigError(f"{path} is there, and has records: --replace if they may be lost")
    with rights_of(directory), Book(directory).opened() as entries:
        records, leases = _records(config, entries), _leases(entries)
    with rights_of(config.state_dir):
        for each in (path, *(path.with_name(path.name + suffix) for suffix in BESIDE)):
            each.unlink(missing_ok=True)
    with ledger_in(config.state_dir, new=True) as ledger:
        for record in records:
            ledger.add_certificate(record)
        for lease in leases:
            ledger.add_lease(lease)
    click.echo(f"The records are made anew: {len(records)} certificates, and the addresses of {len(leases)} machines.")
    click.echo(
        "Open invitations and traffic are forgotten. A machine that `morphnet pki list` does not show joins anew."
    )


def _records(config: ServerConfig, entries: Entries) -> list[CertificateRecord]:
    own = read_certificate(config.pki_dir, config.name)
    ends = int(own.not_valid_after_utc.timestamp())
    records = {serial_text(own): CertificateRecord(serial_text(own), config.name, "server", ends)}
    for serial, each in entries.signed.items():
        kind = "client" if each.addresses else "server"
        revoked_at = entries.revoked.get(serial, 0)
        records.setdefault(serial, CertificateRecord(serial, each.name, kind, each.at + CLIENT_LIFETIME, revoked_at))
    return list(records.values())


def _leases(entries: Entries) -> list[Lease]:
    addresses: dict[str, dict[bool, str]] = {}
    for address, name in entries.holders.items():
        addresses.setdefault(name, {}).setdefault(":" in address, address)
    return [Lease(name, two.get(False, ""), two.get(True, ""), os.urandom(16)) for name, two in addresses.items()]
