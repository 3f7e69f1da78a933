"""Who comes by WireGuard: `morphnet invite NAME --wireguard`, `phones`; and `revoke`, which is for all machines."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import segno

from morphnet.cli.layout import Place, dir_option, ledger_in, load_server, now
from morphnet.cli.live import feed_of, print_lines
from morphnet.cli.pki import revoke_certificates
from morphnet.config.roles import ServerConfig
from morphnet.config.wireguard import PORT
from morphnet.durable import write_new
from morphnet.errors import ConfigError
from morphnet.ops import feedclient
from morphnet.ops.show_phones import phones_lines
from morphnet.pki.authority import names_of
from morphnet.pki.files import read_certificate
from morphnet.pki.names import checked_name, join_address, split_address
from morphnet.rights import rights_of
from morphnet.roles.server.node import gateway
from morphnet.roles.server.wireguard import server_key
from morphnet.status import PhonesStatus, PhoneStatus, as_json, from_json
from morphnet.store.base import Lease, PhoneRecord, PoolExhausted
from morphnet.store.ledger import Ledger
from morphnet.text import DOMAIN
from morphnet.wire.wireguard import KEY, private_key, public_key

KEEPALIVE = 25  # seconds: WireGuard's own advice for who is behind a NAT
_OWNER = 0o600


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is said about an invitation by WireGuard."""

    split: bool = False  # only the inner networks, and those behind clients, go through it
    replace: bool = False  # what the phone was given before is good no more
    as_json: bool = False
    file: Path | None = None
    png: Path | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """What a phone is given, once."""

    name: str
    addresses: tuple[str, ...]
    public_key: str
    endpoint: str
    config: str  # its private key is in it


def invite_phone(place: Place, name: str, address: str | None, wishes: Wishes) -> None:
    """
    Let a machine come by WireGuard, and print what it needs for that.

    :param address: HOST or HOST:PORT where it finds this server; None for where all find it.
    """
    config, name = load_server(place), checked_name(name)
    if not config.wireguard.port:
        listen = f"morphnet set wireguard.listen 0.0.0.0:{PORT}{place.option()}"
        raise ConfigError(f"this server does not speak WireGuard yet: `{listen}`, and open that UDP port")
    for path in (wishes.file, wishes.png):
        if path is not None and path.exists():
            raise ConfigError(f"{path} is there already: give another file")
    if wishes.file is not None and wishes.file == wishes.png:
        raise ConfigError("--file and --png are one file: give two")
    names = names_of(read_certificate(config.pki_dir, config.name))
    if name in names:
        raise ConfigError(f"{name!r} is this server itself: choose another name")
    port = config.wireguard.port
    endpoint = join_address(*split_address(address or join_address(names[:2][-1], port), port))
    given = _give(config, name, endpoint, wishes)
    _hand_over(given, wishes)
    if not wishes.as_json:
        click.echo(f"{given.name} is {' and '.join(given.addresses)}: {_standing(place, name)}", err=True)


def _give(config: ServerConfig, name: str, endpoint: str, wishes: Wishes) -> Given:
    """
    Its keys and addresses. Of the private key nothing is kept here, so that what was asked for in files is there before
    it is good: if that fails all is as it was, and a phone that is to have new keys keeps those that it has.
    """
    with rights_of(config.pki_dir):
        ours = server_key(config.pki_dir)
    private, shared = private_key(os.urandom(KEY)), base64.b64encode(os.urandom(KEY)).decode()
    record = PhoneRecord(name, public_key(private), shared, int(now()))
    with ledger_in(config.state_dir) as ledger:
        _check_free(ledger, name, replace=wishes.replace)
        try:
            lease = ledger.lease(name, config.pool4, config.pool6, os.urandom(16))
        except PoolExhausted as full:
            raise ConfigError(str(full)) from None
        behind = [network for _, network in ledger.approved()]
        inner = tuple(each for each in (lease.inner4, lease.inner6) if each)
        lines = ["[Interface]", f"PrivateKey = {private}", f"Address = {', '.join(map(_alone, inner))}"]
        if (asked := _asked_for_names(config)) and not wishes.split:
            lines.append(f"DNS = {', '.join(asked)}")
        lines += [f"MTU = {config.wireguard.phone_mtu}", "", "[Peer]", f"PublicKey = {public_key(ours)}"]
        lines += [f"PresharedKey = {shared}", f"Endpoint = {endpoint}"]
        lines += [f"AllowedIPs = {', '.join(_through(config, lease, behind, split=wishes.split))}"]
        lines.append(f"PersistentKeepalive = {KEEPALIVE}")
        given = Given(name, inner, record.public_key, endpoint, "\n".join(lines) + "\n")
        with _files(_contents(given, wishes)):
            ledger.add_phone(record)
    return given


def _check_free(ledger: Ledger, name: str, *, replace: bool) -> None:
    at = now()
    for each in ledger.certificates():
        ended = each.revoked_at or each.not_after <= at or (each.kind == "invite" and each.used_at)
        if each.name == name and each.kind in ("client", "invite") and not ended:
            what = "has a certificate" if each.kind == "client" else "was invited to join with morphnet"
            raise ConfigError(f"{name} {what}: choose another name, or `morphnet revoke {name}` first")
    if not replace and any(each.name == name for each in ledger.phones()):
        raise ConfigError(f"{name} was invited already: --replace gives it new keys, and ends those that it has")


def _alone(address: str) -> str:
    return f"{address}/{128 if ':' in address else 32}"


def _asked_for_names(config: ServerConfig) -> tuple[str, ...]:
    """The gateway and its domain, where it answers for names; else the servers that it tells of."""
    own = tuple(filter(None, (gateway(config.pool4), gateway(config.pool6))))
    return (*own, DOMAIN) if config.names.serve and not set(own) & set(config.dns) else config.dns


def _through(config: ServerConfig, lease: Lease, behind: list[str], *, split: bool) -> list[str]:
    """What the phone sends through it: of families that it has an address of."""
    everything = config.pool4, config.pool6
    networks = list(dict.fromkeys([*filter(None, everything), *behind])) if split else ["0.0.0.0/0", "::/0"]
    if not split:
        return networks  # also a family without an address: it goes nowhere, and not past the tunnel
    has = {":" in each for each in (lease.inner4, lease.inner6) if each}
    return [each for each in networks if (":" in each) in has]


def _code(config: str) -> segno.QRCode | None:
    """None for one that is longer than any code."""
    try:
        return segno.make_qr(config, error="L", boost_error=False)
    except segno.DataOverflowError:
        return None


def _contents(given: Given, wishes: Wishes) -> dict[Path, bytes]:
    """Of the files that are wished for."""
    found = {wishes.file: given.config.encode()} if wishes.file is not None else {}
    if wishes.png is not None:
        picture, code = io.BytesIO(), _code(given.config)
        if code is None:
            raise ConfigError("so many networks are too long for a QR code: use --file, or leave --split out")
        code.save(picture, kind="png", scale=6, border=4)
        found[wishes.png] = picture.getvalue()
    return found


@contextmanager
def _files(contents: Mapping[Path, bytes]) -> Iterator[None]:
    """Files for their owner alone, all of them; none when one cannot be written, or what is done meanwhile fails."""
    made = list[Path]()
    try:
        for path, content in contents.items():
            with rights_of(path.absolute().parent, only_new=True):
                write_new(path, content, mode=_OWNER)
            made.append(path)
        yield
    except BaseException:
        for path in made:
            path.unlink()
        raise


def _show(code: segno.QRCode | None) -> None:
    if code is None:
        click.echo("So many networks are too long for a QR code: import the text as a file.", err=True)
        return
    try:
        code.terminal(out=sys.stdout, compact=True, border=2)
    except UnicodeEncodeError:
        click.echo("This terminal shows no QR code: import the text as a file, or ask for --png.", err=True)


def _hand_over(given: Given, wishes: Wishes) -> None:
    if wishes.as_json:
        about = {"name": given.name, "addresses": given.addresses, "public_key": given.public_key}
        click.echo(json.dumps({**about, "endpoint": given.endpoint, "config": given.config}, indent=2))
        return
    if wishes.file is None and wishes.png is None:
        click.echo(given.config)
        _show(_code(given.config))
    click.echo(
        f"This is shown once: whoever has it becomes {given.name}. In the WireGuard app: add a tunnel, scan the QR code"
        " or import the file.",
        err=True,
    )


# what there is


@click.command()
@click.option("--json", "for_machines", is_flag=True, help="One JSON object, for machines.")
@dir_option
def phones(for_machines: bool, place: Place) -> None:
    """Machines that come by WireGuard: their addresses, when they were last heard and where, and what they carried."""
    found = _told(place) or _known(place)
    if for_machines:
        click.echo(json.dumps(as_json(found), indent=2))
        return
    print_lines(phones_lines(found.phones, time.time()) or [[("nobody comes by WireGuard", "dim")]])
    for sentence in found.warnings:
        click.echo(sentence, err=True)


def _told(place: Place) -> PhonesStatus | None:
    """What the server answers, that has looked who may come now; None when it does not run."""
    try:
        return from_json(PhonesStatus, feedclient.ask(feed_of(None, place, "server"), {"ask": "phones"}))
    except feedclient.Nobody:
        return None


def _known(place: Place) -> PhonesStatus:
    """What the records say."""
    with ledger_in(load_server(place).state_dir) as ledger:
        leases = {each.name: each for each in ledger.leases()}
        names = [each.name for each in ledger.phones()]
    inner = {
        name: tuple(filter(None, (leases[name].inner4, leases[name].inner6))) if name in leases else ()
        for name in names
    }
    why = "the server does not run here now"
    return PhonesStatus(tuple(PhoneStatus(name, "away", why, inner[name], "", 0.0, 0, 0) for name in names))


def _standing(place: Place, name: str) -> str:
    """How it stands with it now, in one phrase."""
    told = _told(place)
    if told is None:
        return "the server does not run here now, and lets it in from its next start on"
    of_it = (each for each in told.phones if each.name == name)
    return next((each.why or "it may come now" for each in of_it), "the running server does not know of it")


# revoke


@click.command()
@click.argument("name")
@click.option(
    "--release", is_flag=True, help="Give its inner addresses back to the pool as well, and forget its networks."
)
@dir_option
def revoke(name: str, release: bool, place: Place) -> None:
    """Let the machine NAME in no more, from now on: its certificates, open invitations, and keys of WireGuard."""
    config = load_server(place)
    with ledger_in(config.state_dir) as ledger:
        was_phone = ledger.remove_phone(name)
        if was_phone and release:
            ledger.release(name)
        others = any(each.name == name and not each.revoked_at for each in ledger.certificates())
    if was_phone:
        told = _told(place)
        whom = "the running server has ended it" if told is not None else "nothing of ours runs here now"
        if told is not None and (name in {each.name for each in told.phones} or told.warnings):
            whom = "; ".join(told.warnings) or "the running server could not read that yet"
        click.echo(f"Revoked the WireGuard keys of {name}; {whom}.")
    if others or not was_phone:
        revoke_certificates(name, place, release=release)
