"""The certificates of a network: `morphnet pki list`, `revoke`, `renew`. `morphnet pki relay` is in cli/relays."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial

import click
from rich.console import Console
from rich.table import Table

from morphnet.cli import Commands
from morphnet.cli.layout import Place, day, dir_option, ledger_in, load_server, now
from morphnet.config.roles import ServerConfig
from morphnet.errors import ConfigError, HostError
from morphnet.ops.feedclient import ask
from morphnet.ops.rundir import FEED
from morphnet.pki.asking import Signers
from morphnet.pki.authority import CLIENT_LIFETIME, describe, names_of, serial_text
from morphnet.pki.book import RELEASE, REVOKE, Book, Entry, signer_directory
from morphnet.pki.expiry import CA_SOON, SOON, trouble
from morphnet.pki.files import CA, authority_home, read_certificate, read_key, trusted_cas, write_certificate
from morphnet.pki.names import checked_host
from morphnet.pki.rotation import load_authorities
from morphnet.rights import rights_of
from morphnet.roles.certificates.publishing import Publisher
from morphnet.store.base import CertificateRecord
from morphnet.text import printable

_PATIENCE = 2.0  # seconds to wait for the running server
_LATE = 3  # exit code of `list`
_SHOWN = 16  # characters of a serial in the table

pki = Commands(
    "pki",
    {
        "list": "morphnet.cli.pki:list_",
        "revoke": "morphnet.cli.phones:revoke",
        "renew": "morphnet.cli.pki:renew",
        "rotate": "morphnet.cli.rotation:rotate",
        "relay": "morphnet.cli.relays:relay",
    },
    "The network's certificates; on the server.",
)


def _state(record: CertificateRecord, at: float) -> str:
    if record.revoked_at:
        return f"revoked {day(record.revoked_at)}"
    if record.used_at:
        return f"used {day(record.used_at)}"
    return "expired" if record.not_after <= at else "good"


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@dir_option
def list_(as_json: bool, place: Place) -> None:
    """
    Every certificate and invitation: whose, of which kind, until when.

    The exit code is 3 when one of them should have been renewed by now.
    """
    config, at = load_server(place), now()
    cas = [describe(each) for each in trusted_cas(authority_home(config.pki_dir))]
    with ledger_in(config.state_dir) as ledger:
        records = [CertificateRecord(ca.serial, ca.name, ca.kind, int(ca.not_after)) for ca in cas]
        records += ledger.certificates()
    if as_json:
        rows = [
            {
                "name": each.name,
                "kind": each.kind,
                "serial": each.serial,
                "expires": datetime.fromtimestamp(each.not_after, UTC).isoformat(),
                "state": _state(each, at).split()[0],
            }
            for each in records
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        _print_table(records, at)
    late = _late(records, at)
    for sentence in late:
        click.echo(sentence, err=True)
    if late:
        raise SystemExit(_LATE)


def _late(records: list[CertificateRecord], at: float) -> list[str]:
    """What should have been renewed by now: of each name and kind, its last certificate; it may be in use."""
    cures = {
        CA: (CA_SOON, "`morphnet pki rotate` makes the next one"),
        "server": (SOON, "is it running? its log says why it was not renewed"),
        "client": (SOON, "it renews itself while it is connected; `morphnet pki revoke` it if it is gone for good"),
    }
    last = {(each.name, each.kind): each for each in records if not each.revoked_at and each.kind in cures}
    newest = records[0]  # a CA; those before it may end
    last = {key: each for key, each in last.items() if each.kind != CA or each is newest}
    found = []
    for (name, kind), each in last.items():
        soon, cure = cures[kind]
        if each.not_after > at or kind != "client":  # a machine that is gone is no news for ever
            found.append(trouble(f"the {kind} certificate of {name}", each.not_after, cure, now=at, soon=soon))
    return [each for each in found if each is not None]


def _print_table(records: list[CertificateRecord], at: float) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("name", "kind", "serial", "expires", "state"):
        table.add_column(title, no_wrap=title != "name", overflow="fold")
    for each in records:
        state = _state(each, at)
        style = "" if state == "good" else "dim"
        cells = (each.name, each.kind, each.serial[:_SHOWN], day(each.not_after), state)
        table.add_row(*map(printable, cells), style=style)
    Console(markup=False, highlight=False).print(table)


def revoke_certificates(name: str, place: Place, *, release: bool) -> None:
    """Revoke every certificate and open invitation of a name, now."""
    config = load_server(place)
    if name == config.name:
        raise ConfigError(f"{name} is this server: stop it instead, or renew its certificate with `morphnet pki renew`")
    serials, records = _revoke_all(config, name, release=release)
    if not any(each.name == name for each in records):
        raise ConfigError(f"nobody is called {name!r}: `morphnet pki list` shows who there is")
    try:
        publish(config, records)
    finally:
        told = tell(config, place)
    if not serials:
        click.echo(f"{name} has nothing left to revoke.")
        return
    whom = f"the running {' and '.join(told)} told" if told else "nothing of ours runs here now"
    click.echo(f"Revoked {len(serials)} of {name}; {whom}.")


@click.command()
@click.argument("name", default="server")
@click.option("--address", "addresses", metavar="PUBLIC", multiple=True, help="New addresses in the place of the old.")
@dir_option
def renew(name: str, addresses: tuple[str, ...], place: Place) -> None:
    """Renew this server's certificate. Clients renew theirs by themselves."""
    config = load_server(place)
    if name == CA:
        ends = day(describe(read_certificate(config.pki_dir, CA)).not_after)
        raise ConfigError(
            f"the CA is good until {ends} and cannot be renewed: `morphnet pki rotate` makes the next one"
        )
    if name not in ("server", config.name):
        raise ConfigError(
            f"only {name} itself can renew its certificate, and does so while it is connected; "
            f"if that came too late: `morphnet invite {name}`"
        )
    certificate = _renew_server(config, [checked_host(each) for each in addresses])
    told = tell(config, place)
    whom = f"the running {' and '.join(told)} told" if told else "nothing of ours runs here now"
    click.echo(f"The certificate of {config.name} is good until {day(certificate)}; {whom}.")


def _renew_server(config: ServerConfig, addresses: list[str]) -> float:
    """
    A new certificate for the same key: one file, so that the server never reads a pair that does not belong together.

    :returns: Unix seconds of its end.
    """
    authority = load_authorities(config.pki_dir, now=now()).known
    names = names_of(read_certificate(config.pki_dir, config.name))
    if addresses:
        names = list(dict.fromkeys([names[0], *addresses]))
    certificate = authority.server(read_key(config.pki_dir, config.name).public_key(), names, now=now())
    ends = certificate.not_valid_after_utc.timestamp()
    with ledger_in(config.state_dir) as ledger:
        ledger.add_certificate(CertificateRecord(serial_text(certificate), config.name, "server", int(ends)))
    with rights_of(config.pki_dir):
        write_certificate(config.pki_dir, config.name, certificate)
    return ends


def _revoke_all(config: ServerConfig, name: str, *, release: bool) -> tuple[list[str], list[CertificateRecord]]:
    """
    Revoke all that is good of a name, in the records and in the CA's book. The book is held meanwhile: what is asked
    for that name just now was signed before and is revoked as well, or will not be signed.

    :returns: serials of what was good until now; all records.
    """
    at, book = int(now()), signer_directory(config.state_dir)
    with ExitStack() as held:
        with rights_of(book):
            entries = held.enter_context(Book(book).opened())
        with ledger_in(config.state_dir) as ledger:
            recorded = {each.serial for each in ledger.certificates()}
            for each in entries.signed.values():  # whether the process that asked for it has said so or not
                if each.name == name and each.serial not in recorded:
                    ledger.add_certificate(CertificateRecord(each.serial, name, "client", each.at + CLIENT_LIFETIME))
            serials, records = ledger.revoke(name, at), ledger.certificates()
            if release:
                ledger.release(name)
        entries.add(*(Entry(at, REVOKE, name, serial) for serial in serials))
        if release:
            entries.add(Entry(at, RELEASE, name))
    return serials, records


def publish(config: ServerConfig, records: list[CertificateRecord], policy: bytes = b"") -> None:
    """
    Sign the list of all that is revoked, for the processes here to tell everybody.

    :param policy: that is to be in it, as the CA's signer has it by now.
    :raises ConfigError: the CA is not here, or not good now.
    :raises HostError: the list cannot be written.
    """
    book = signer_directory(config.state_dir)
    with rights_of(book), Book(book).opened():
        pass  # it is there, and of whom it belongs to, before the signer that root starts makes it root's
    signers = Signers(config.pki_dir, config.state_dir)
    rights = partial(rights_of, config.state_dir)
    cas = trusted_cas(config.pki_dir)
    publisher = Publisher(config.state_dir, lambda: cas, signers.sign_revocations, rights)
    publisher.publish(records, now(), policy=policy)


def tell(config: ServerConfig, place: Place) -> list[str]:
    """Ask the running server, and the relay beside it, to read certificates and revocations anew: who was told."""
    told = []
    for role, run_dir in (("server", config.run_dir), ("relay", place.relay_run_dir)):
        try:
            ask(run_dir / FEED, {"ask": "reload"}, _PATIENCE)
            told.append(role)
        except (HostError, ConfigError):
            continue  # what was changed is on the disk: who starts reads it
    return told
