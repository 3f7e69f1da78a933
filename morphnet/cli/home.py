"""`morphnet home`: make one, and tell what a browser opens."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import Any

import click
import segno
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from morphnet.cli import Commands
from morphnet.cli.layout import SYSTEM, Place, dir_option
from morphnet.config.home import HomeConfig
from morphnet.durable import make_directory, write_new, write_over
from morphnet.errors import ConfigError
from morphnet.rights import rights_of
from morphnet.roles.home import known
from morphnet.roles.home import password as passwords
from morphnet.roles.home.identity import INVITE, KEY, link, name_of, read_identity
from morphnet.roles.home.passkeys import site
from morphnet.wire.messages.home.calls import to_text
from morphnet.wire.messages.home.invitation import Invitation

FILE = "home.toml"
home = Commands(
    "home",
    {
        "init": "morphnet.cli.home:init",
        "link": "morphnet.cli.home:show_link",
        "password": "morphnet.cli.home:password",
        "page": "morphnet.cli.page:serve",
    },
    "What a browser reaches at home: files, terminals, a desktop, web pages.",
)
_password_file = click.option(
    "--password-file", type=click.File(), help="Read the password from there ('-' for stdin); else it is asked for."
)


def load_home(place: Place) -> HomeConfig:
    """
    The settings of the home there.

    :raises ConfigError: there is none.
    """
    from morphnet.config.file import load

    file = place.root / FILE
    if not file.exists():
        raise ConfigError(f"there is no {file}: run `morphnet home init` here, or give its --dir")
    return load(HomeConfig, file, {})


def _typed(file: Any) -> str:
    if file is not None:
        return str(file.readline().rstrip("\r\n"))
    return str(click.prompt("Password for browsers", hide_input=True, confirmation_prompt=True))


@click.command()
@click.argument("line")
@click.option("--files", type=click.Path(path_type=Path), help="Directory whose files browsers may see.")
@click.option("--write", is_flag=True, help="They may change them as well.")
@click.option("--terminal", is_flag=True, help="Let browsers open a login shell.")
@click.option("--ssh", default="", help="USER@HOST[:PORT] that terminals log in to, in the place of a shell here.")
@click.option("--vnc", default="", help="HOST:PORT of a VNC server whose desktop browsers may use.")
@click.option("--passkeys", is_flag=True, help="Let who is logged in add passkeys, and passkeys log in.")
@click.option("--user", help="Whose files and shells; as root: who the service runs as. By default who calls sudo.")
@_password_file
@dir_option
def init(line: str, user: str | None, password_file: Any, place: Place, **shared: Any) -> None:
    """Make a home with the LINE that `morphnet coordinator invite` printed."""
    from morphnet.config.file import render

    invitation, file = Invitation.read(line), place.root / FILE
    if file.exists():
        raise ConfigError(f"{file} is there already")
    state, user = place.state_of("home"), _user(place, user)
    identity, typed = Ed25519PrivateKey.generate(), passwords.long_enough(_typed(password_file))
    settings = {
        "coordinator": invitation.coordinator,
        "coordinator_key": invitation.key,
        "page": invitation.page,
        "user": user,
        "state_dir": state,
        "run_dir": place.run_of("home"),
        "files": {"root": str(shared["files"].absolute()) if shared["files"] else "", "writable": shared["write"]},
        "terminal": {"enabled": shared["terminal"] or bool(shared["ssh"]), "ssh": shared["ssh"]},
        "vnc": {"server": shared["vnc"]},
        "passkeys": {"enabled": shared["passkeys"]},
        "manhole": {"authorized_keys": place.authorized_keys},
    }
    if shared["passkeys"]:
        site(invitation.page)
    text = render(HomeConfig, settings, intro="morphnet home")
    make_directory(place.root)
    _write(state, identity, invitation.token, typed)
    write_new(file, text.encode())
    click.echo(f"Made {file}.\n\nNext:\n  morphnet up home{place.option()}\nand open in any browser:")
    _show(link(invitation.page, name_of(identity)))


def _write(state: Path, identity: Ed25519PrivateKey, invite: str, password: str) -> None:
    """
    What a home is known by and lets in with. The service's user may own the place, of an earlier home.

    :raises ConfigError: there is a home's key; nothing was changed.
    """
    with rights_of(state):
        make_directory(state)
        try:
            write_new(state / KEY, to_text(identity.private_bytes_raw()).encode() + b"\n", mode=0o600)
        except FileExistsError:
            raise ConfigError(f"{state / KEY} is there already: remove it to make another home") from None
        write_over(state / INVITE, invite.encode() + b"\n", mode=0o600)
        passwords.write(state, password, name_of(identity))


def _user(place: Place, named: str | None) -> str:
    """
    Who the service runs as.

    :raises ConfigError: it would be root, or there is no such user.
    """
    user = named or (os.environ.get("SUDO_USER", "") if place.root == SYSTEM else "")
    if place.root == SYSTEM and user in ("", "root"):
        raise ConfigError("give --user: whose files and shells browsers get; root's would be too much")
    if user:
        try:
            pwd.getpwnam(user)
        except KeyError:
            raise ConfigError(f"there is no user {user} here") from None
    return user


@click.command("link")
@dir_option
def show_link(place: Place) -> None:
    """Print what a browser opens, also as a QR code."""
    config = load_home(place)
    with rights_of(config.state_dir):
        name, first = name_of(read_identity(config.state_dir)), known.read(config)[0]
    _show(link(first.page, name))


def _show(address: str) -> None:
    click.echo(address)
    if sys.stdout.isatty():
        segno.make(address, error="L", boost_error=False).terminal(out=sys.stdout, compact=True, border=2)


@click.command()
@_password_file
@dir_option
def password(password_file: Any, place: Place) -> None:
    """Set another password; it counts from the next start."""
    config, typed = load_home(place), _typed(password_file)
    with rights_of(config.state_dir):
        passwords.write(config.state_dir, typed, name_of(read_identity(config.state_dir)))
    click.echo("Restart morph-home: the new password counts from then on, and every browser logs in again.")
