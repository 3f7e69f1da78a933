"""From nothing to a network: `morphnet init`, `morphnet invite`, `morphnet join`."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import segno
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from morphnet.cli.layout import SYSTEM, Place, day, dir_option, ledger_in, load_server, moment, now
from morphnet.cli.phone_wishes import or_phone
from morphnet.cli.told import local_networks, networks_told, relays_told
from morphnet.config.file import render
from morphnet.config.roles import CONTROL_PORT, DATA_PORT, ClientConfig, RelayConfig, ServerConfig
from morphnet.durable import make_directory, write_new
from morphnet.errors import ConfigError
from morphnet.pki.authority import DAY, INVITE_LIFETIME, Authority, names_of, serial_text
from morphnet.pki.files import (
    CA,
    certificate_path,
    has_authority,
    key_path,
    read_certificate,
    trusted_cas,
    write_certificate,
    write_key,
)
from morphnet.pki.invitation import LONGEST_LINE, PREFIX, Invitation, decode, encode
from morphnet.pki.names import checked_host, checked_name, join_address, split_address
from morphnet.pki.rotation import load_authorities
from morphnet.rights import rights_of
from morphnet.store.base import CertificateRecord

if TYPE_CHECKING:
    from morphnet.cli.joining import Membership

LONGEST_INVITE = 30  # days
_INTRO = """morphnet {role} {name}
What begins with "#" is a default, or a comment. The command line overrides this file: `twistd morph-{role} --help`."""
NOBODY = b"# OpenSSH public keys that may enter the manhole (`morphnet console`), one a line. None: nobody may.\n"


# init


@click.command()
@click.option("--name", metavar="HOST", help="What clients call this server; the host's name if not given.")
@click.option(
    "--address",
    "addresses",
    metavar="PUBLIC",
    multiple=True,
    help="DNS name or IP address at which clients reach it; the first goes into invitations. May be repeated.",
)
@dir_option
def init(name: str | None, addresses: tuple[str, ...], place: Place) -> None:
    """Found a network: its CA, this server's certificate and configuration."""
    name = checked_name(name) if name is not None else _host_name()
    given = [checked_host(each) for each in addresses]
    names = list(dict.fromkeys([name, *(given or _own_addresses())]))
    for path in (certificate_path(place.pki_dir, CA), key_path(place.pki_dir, CA), place.server_toml, place.relay_toml):
        if path.exists():
            raise ConfigError(f"there is a network already, {path} is there: remove it, or give another --dir")
    made: list[Path] = []
    with rights_of(place.root):
        try:
            _found(place, names, made)
        except BaseException:
            for path in reversed(made):  # half a network would be in the way of the next try
                path.unlink(missing_ok=True)
            raise
    _tell_founded(place, names, guessed=not given)


def _host_name() -> str:
    try:
        return checked_name(socket.gethostname())
    except ConfigError as why:
        raise ConfigError(f"give a --name, for the name of this host will not do: {why}") from None


def _own_addresses() -> list[str]:
    """The addresses that this host would use towards the world. Nothing is sent."""
    found = []
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((far, 9))
                found.append(str(probe.getsockname()[0]))
        except OSError:
            pass  # no way out in this family
    return found


def _found(place: Place, names: list[str], made: list[Path]) -> None:
    at = now()
    if make_directory(place.root) and place.root == SYSTEM:
        place.root.chmod(0o755)  # a service's user goes through it
    make_directory(place.pki_dir)
    ca_key, key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    authority = Authority.found(names[0], ca_key, x509.random_serial_number, now=at)
    certificate = authority.server(key.public_key(), names, now=at)
    made.append(write_key(place.pki_dir, CA, ca_key))
    made.append(write_certificate(place.pki_dir, CA, authority.certificate))
    made.append(write_key(place.pki_dir, names[0], key))
    made.append(write_certificate(place.pki_dir, names[0], certificate))
    for role, config, path in (("server", ServerConfig, place.server_toml), ("relay", RelayConfig, place.relay_toml)):
        settings = {"name": names[0], **place.settings(relay=role == "relay")}
        write_new(path, render(config, settings, intro=_INTRO.format(role=role, name=names[0])).encode())
        made.append(path)
    ends = int(certificate.not_valid_after_utc.timestamp())
    with ledger_in(place.state_dir, new=True) as ledger:
        ledger.add_certificate(CertificateRecord(serial_text(certificate), names[0], "server", ends))
    if not place.authorized_keys.exists():
        write_new(place.authorized_keys, NOBODY, mode=0o600)


def _tell_founded(place: Place, names: list[str], *, guessed: bool) -> None:
    ca = read_certificate(place.pki_dir, CA)
    server = read_certificate(place.pki_dir, names[0])
    rows = [
        ("pki/ca.pem", f"the network's CA, good until {day(ca.not_valid_after_utc.timestamp())}"),
        ("pki/ca.key", "its key: whoever has it owns the network; keep a copy in a safe place"),
        (f"pki/{names[0]}.pem", f"this server's certificate, good until {day(server.not_valid_after_utc.timestamp())}"),
        ("server.toml", "every setting of `twistd morph-server`, with its default"),
        ("relay.toml", "the same of `twistd morph-relay`"),
        ("authorized_keys", "who may enter the manhole: nobody yet"),
    ]
    width = max(len(path) for path, _ in rows)
    click.echo(f"Made in {place.root}:")
    for path, text in rows:
        click.echo(f"  {path:<{width}}  {text}")
    reached = names[1] if len(names) > 1 else names[0]
    how = " (guessed; --address says it better)" if guessed else ""
    click.echo(f"Clients reach it at {reached}{how}, TCP {CONTROL_PORT} and UDP {DATA_PORT}.")
    click.echo(f"\nNext: morphnet up{place.option()}")
    click.echo(f"      morphnet invite laptop{place.option()}")
    click.echo(f"If machines are only to meet here, without a gateway: morphnet up relay{place.option()} instead.")
    click.echo("A gateway and a relay want the same ports: `morphnet pki relay` makes one for another machine.")


# invite


@click.command()
@click.argument("name")
@click.option(
    "--days",
    type=click.FloatRange(0, LONGEST_INVITE, min_open=True),
    default=INVITE_LIFETIME / DAY,
    show_default=True,
    help="How long it is good.",
)
@click.option("--server", "address", metavar="HOST[:PORT]", help="Where the machine shall find this server.")
@click.option("--file", "file", type=click.Path(path_type=Path), help="Write the invitation to a file.")
@click.option("--line", "form", flag_value="line", default="line", help="Print it as one line (the default).")
@click.option("--qr", "form", flag_value="qr", help="Print it as a QR code.")
@dir_option
@or_phone
def invite(name: str, days: float, address: str | None, file: Path | None, form: str, place: Place) -> None:
    """Invite the machine NAME: what is printed is good for one `morphnet join`."""
    config, name, at = load_server(place), checked_name(name), now()
    authority = load_authorities(config.pki_dir, now=at).known
    names = names_of(read_certificate(config.pki_dir, config.name))
    if name in names:
        raise ConfigError(f"{name!r} is this server itself: choose another name")
    # The first name is what the server is called; the next, if any, where it is.
    host, port = split_address(address or join_address(names[:2][-1], config.control_port), config.control_port)
    key = Ed25519PrivateKey.generate()
    certificate = authority.invite(key.public_key(), name, now=at, lifetime=days * DAY)
    made = Invitation(join_address(host, port), config.name, key, certificate, authority.certificate)
    with ledger_in(config.state_dir) as ledger:
        known = [each for each in ledger.certificates() if each.name == name and not each.revoked_at]
        ledger.add_certificate(CertificateRecord(serial_text(certificate), name, "invite", int(made.not_after)))
    if any(each.kind == "client" and each.not_after > at for each in known):
        click.echo(
            f"{name} has a certificate already and will have two; `morphnet pki revoke {name}` first"
            " if the old one was lost.",
            err=True,
        )
    _hand_over(made, file, form)


def _hand_over(made: Invitation, file: Path | None, form: str) -> None:
    line, until = encode(made), moment(made.not_after)
    terms = f"Good once, until {until}. Whoever has it becomes {made.name}: pass it on in private."
    if file is not None:
        try:
            with rights_of(file.absolute().parent, only_new=True):
                write_new(file, line.encode() + b"\n", mode=0o600)
        except FileExistsError:
            raise ConfigError(f"{file} is there already: give another --file") from None
        click.echo(f"{terms}\nNext, on {made.name}: morphnet join {file.name}")
    elif form == "qr":
        segno.make(line.upper(), error="L", boost_error=False).terminal(out=sys.stdout, compact=True, border=2)
        click.echo(f"{terms}\nNext, on {made.name}: morphnet join LINE, with the line that the code holds")
    else:
        click.echo(line)
        click.echo(f"{terms}\nNext, on {made.name}: morphnet join LINE, with the line above", err=True)


# join


@click.command()
@click.argument("invitation")
@click.option("--server", "address", metavar="HOST[:PORT]", help="Where the server is, if not where the line says.")
@click.option("--replace", is_flag=True, help="Replace the certificate and the configuration that are there.")
@dir_option
def join(invitation: str, address: str | None, replace: bool, place: Place) -> None:
    """Join a network. INVITATION is the line, a file that holds it, or - to read it from standard input."""
    invited = decode(_line(invitation))
    from morphnet.cli.joining import request_over_network  # brings Twisted and OpenSSL: a mangled line is told at once

    host, port = split_address(address or invited.address, CONTROL_PORT)
    reached = join_address(host, port)
    _check_room(place, invited, replace)
    member = enter(place, invited, reached, lambda key: request_over_network(invited, key, reached))
    until = day(member.certificate.not_valid_after_utc.timestamp())
    click.echo(f"This machine is {invited.name} until {until}; the certificate renews by itself.")
    click.echo(f"Its key is in {key_path(place.pki_dir, invited.name)} and was nowhere else.")
    click.echo(f"Every setting is in {place.client_toml}.")
    for sentence in networks_told(member.networks, local_networks())[1] if member.relays else ():
        click.echo(f"The server's inner network {sentence}.")
    click.echo(f"\nNext: morphnet up{place.option()}")


def enter(
    place: Place, invited: Invitation, address: str, request: Callable[[Ed25519PrivateKey], Membership]
) -> Membership:
    """
    Make a key, get its certificate, write all that `twistd morph-client` needs.

    :param address: "HOST:PORT" of the server, for the configuration.
    :param request: trades the key for a certificate; what it raises leaves everything as it was.
    """
    made: list[Path] = []
    key, drafted = Ed25519PrivateKey.generate(), key_path(place.pki_dir, f"{invited.name}.new")
    try:
        with rights_of(place.root):
            made += make_directory(place.root)
        with rights_of(place.pki_dir):
            made += make_directory(place.pki_dir)
            # On the disk before the invitation is spent; beside the old one until the new certificate is here.
            write_key(place.pki_dir, f"{invited.name}.new", key, replace=True)
        member = request(key)
    except BaseException:
        with rights_of(place.pki_dir), contextlib.suppress(OSError):  # somebody else put something there
            drafted.unlink(missing_ok=True)
            for directory in reversed(made):
                directory.rmdir()
        raise
    with rights_of(place.pki_dir):
        os.replace(drafted, key_path(place.pki_dir, invited.name))
        write_certificate(place.pki_dir, invited.name, member.certificate)
        if not _trusts(place, invited):
            write_certificate(place.pki_dir, CA, invited.ca)
    with rights_of(place.root):
        _write_client_toml(place, invited, address, member)
    return member


def _line(text: str) -> str:
    """The invitation's line, from wherever it is."""
    if text.lower().lstrip().startswith(PREFIX):
        return text
    if text == "-":
        return sys.stdin.buffer.read(LONGEST_LINE + 1).decode("utf-8", "replace")
    try:
        with open(text, "rb") as file:
            return file.read(LONGEST_LINE + 1).decode("utf-8", "replace")
    except OSError as trouble:
        why = (trouble.strerror or "it cannot be read").lower()
        raise ConfigError(f"{text[:80]!r} is neither a line that begins with {PREFIX!r} nor a file: {why}") from None


def _trusts(place: Place, invited: Invitation) -> bool:
    """Whether it is of the network that this machine is in, which may have several CAs."""
    try:
        return invited.ca in trusted_cas(place.pki_dir)
    except ConfigError:
        return False


def _check_room(place: Place, invited: Invitation, replace: bool) -> None:
    """:raises ConfigError: what is there would be lost."""
    if replace and not has_authority(place.pki_dir):
        return
    there = certificate_path(place.pki_dir, CA)
    if there.exists() and not _trusts(place, invited):
        raise ConfigError(f"{there} is the CA of another network: give another --dir, or --replace if it is done with")
    for path in (key_path(place.pki_dir, invited.name), place.client_toml):
        if path.exists() and not replace:
            raise ConfigError(f"this machine has joined already, {path} is there: --replace if it shall join anew")


def _write_client_toml(place: Place, invited: Invitation, address: str, member: Membership) -> None:
    values = {"name": invited.name, **place.settings()}
    if member.vpn:
        values = {"server": address, "server_name": invited.server_name, **values}
    relays, (networks, _) = relays_told(member.relays), networks_told(member.networks, local_networks())
    if relays:
        values["mesh"] = {"relays": relays, **({"networks": networks} if networks else {})}
    if place.client_toml.exists():
        os.replace(place.client_toml, place.client_toml.with_suffix(".toml.old"))
    intro = _INTRO.format(role="client", name=invited.name)
    write_new(place.client_toml, render(ClientConfig, values, intro=intro).encode())
    if not place.authorized_keys.exists():
        write_new(place.authorized_keys, NOBODY, mode=0o600)
