"""`morphnet leave`: this machine is no member of its network any more, and as it was before `morphnet join`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from morphnet.cli import systemd
from morphnet.cli.enrol import NOBODY
from morphnet.cli.layout import NETWORKED, Place, dir_option
from morphnet.cli.running import Role, alone, file_of, names_here, role_here
from morphnet.cli.updown import stopped
from morphnet.config.roles import ClientConfig
from morphnet.errors import ConfigError
from morphnet.ops.rundir import CONSOLE_KEY, HOST_KEY, JOURNAL, KNOWN_HOSTS, REVOKED, SSH_CONFIG
from morphnet.pki.files import CA, certificate_path, has_authority, key_path
from morphnet.rights import rights_of
from morphnet.store.networks import FILE as NETWORKS
from morphnet.store.relays import FILE as RELAYS
from morphnet.store.uplinks import FILE as UPLINKS
from morphnet.text import printable

# What a client leaves in its state_dir.
_STATE = (REVOKED, JOURNAL, f"{JOURNAL}.lock", HOST_KEY, NETWORKS, RELAYS, UPLINKS)


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@dir_option
def leave(yes: bool, place: Place) -> None:
    """
    Leave the network: be as before `morphnet join`.

    The client is stopped, and its key, its certificate and its configuration are removed.
    Nobody has a copy of the key: to come back this machine needs a new invitation. The network is not told.
    """
    if "client" not in names_here(place):
        raise ConfigError(f"this machine has not joined a network: there is no {file_of(place, 'client')}")
    client = role_here(place, "client")
    config = client.config
    assert isinstance(config, ClientConfig)  # what the file of a client is
    files, name = list(_files(client, config)), config.name
    if not yes:
        _ask(files, name)
    with alone(place):
        click.echo(printable(stopped(client).text))
        if systemd.is_for(client):
            systemd.forget(client)
        for file in files:  # the configuration comes last: whoever is interrupted can go on
            try:
                with rights_of(file.parent):
                    file.unlink(missing_ok=True)
            except ConfigError as trouble:
                if file != client.log:
                    raise
                click.echo(printable(f"{file} stays: {trouble}"), err=True)  # some systems let a group write /var/log
        for directory in (config.run_dir, config.state_dir, config.pki_dir, place.root):
            _remove_empty(directory)
    click.echo(f"This machine is {name} no more. Its certificate is good until somebody revokes it.")
    click.echo(f"\nNext, on the server: morphnet pki revoke {name}")


def _ask(files: list[Path], name: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigError("nobody is there who could be asked: give --yes")
    click.echo("To be removed:")
    for file in files:
        click.echo(printable(f"  {file}"))
    click.confirm(f"Leave the network, as {name}?", abort=True)


def _files(client: Role, config: ClientConfig) -> Iterator[Path]:
    """What there is of this membership, and of nothing else in the same directories."""
    place = client.place
    others = [role_here(place, each).config for each in names_here(place) if each != "client" and each in NETWORKED]
    found = [client.log]
    if config.name not in [each.name for each in others]:
        found += [key_path(config.pki_dir, config.name), certificate_path(config.pki_dir, config.name)]
    if not others and not has_authority(config.pki_dir):
        found.append(certificate_path(config.pki_dir, CA))
        found += [config.run_dir / each for each in (CONSOLE_KEY, KNOWN_HOSTS, SSH_CONFIG)]
        found += [config.state_dir / each for each in _STATE]
        keys = place.authorized_keys
        if keys.is_file() and keys.read_bytes() == NOBODY:
            found.append(keys)
    found += [client.file.with_suffix(".toml.old"), client.file]
    return (each for each in found if each.is_file())


def _remove_empty(directory: Path) -> None:
    """Anything else there is somebody else's."""
    with rights_of(directory):
        try:
            directory.rmdir()
        except OSError:
            return
