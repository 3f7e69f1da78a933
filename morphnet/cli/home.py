"""`morphnet home`: make one, and tell what a browser opens."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import segno
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from morphnet.cli import Commands
from morphnet.cli.layout import SYSTEM, Place, dir_option
from morphnet.config.home import HomeConfig
from morphnet.errors import ConfigError
from morphnet.pki.files import make_directory, write_new, write_over
from morphnet.roles.coordinator.invitations import Invitation
from morphnet.roles.home import password as passwords
from morphnet.roles.home.identity import INVITE, KEY, link, name_of, read_identity
from morphnet.wire.messages.home.calls import to_text

FILE = "home.toml"
home = Commands(
    "home",
    {
        "init": "morphnet.cli.home:init",
        "link": "morphnet.cli.home:show_link",
        "password": "morphnet.cli.home:password",
    },
    "What a browser reaches at home: files and terminals.",
)
_password_file = click.option(
    "--password-file", type=click.File(), help="Read the password from there ('-' for stdin); else it is asked for."
)


def _load(place: Place) -> HomeConfig:
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
@_password_file
@dir_option
def init(line: str, files: Path | None, write: bool, terminal: bool, password_file: Any, place: Place) -> None:
    """Make a home with the LINE that `morphnet coordinator invite` printed."""
    from morphnet.config.file import render

    invitation, file = Invitation.read(line), place.root / FILE
    if file.exists():
        raise ConfigError(f"{file} is there already")
    apart = place.root != SYSTEM
    state = place.root / "home" if apart else Path("/var/lib/morphnet-home")
    identity = Ed25519PrivateKey.generate()
    settings = {
        "coordinator": invitation.coordinator,
        "coordinator_key": invitation.key,
        "page": invitation.page,
        "state_dir": state,
        "run_dir": place.root / "run-home" if apart else Path("/run/morphnet-home"),
        "files": {"root": str(files.absolute()) if files is not None else "", "writable": write},
        "terminal": {"enabled": terminal},
        "manhole": {"authorized_keys": place.authorized_keys},
    }
    for directory in (place.root, state):
        make_directory(directory)
    passwords.write(state, _typed(password_file), name_of(identity))
    write_new(state / KEY, to_text(identity.private_bytes_raw()).encode() + b"\n", mode=0o600)
    write_over(state / INVITE, invitation.token.encode() + b"\n", mode=0o600)
    write_new(file, render(HomeConfig, settings, intro="morphnet home").encode())
    click.echo(f"Made {file}. Start it: twistd -n morph-home{place.config_option(file)}")
    _show(link(invitation.page, name_of(identity)))


@click.command("link")
@dir_option
def show_link(place: Place) -> None:
    """Print what a browser opens, also as a QR code."""
    config = _load(place)
    _show(link(config.page, name_of(read_identity(config.state_dir))))


def _show(address: str) -> None:
    click.echo(address)
    if sys.stdout.isatty():
        segno.make(address, error="L", boost_error=False).terminal(out=sys.stdout, compact=True, border=2)


@click.command()
@_password_file
@dir_option
def password(password_file: Any, place: Place) -> None:
    """Set another password; it counts from the next start."""
    config = _load(place)
    passwords.write(config.state_dir, _typed(password_file), name_of(read_identity(config.state_dir)))
    click.echo("Restart morph-home: the new password counts from then on, and every browser logs in again.")
