"""What `morphnet invite` may be told of a machine that comes by WireGuard; light, so that it waits for nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from morphnet.cli.layout import ledger_in, load_server
from morphnet.config.roles import ServerConfig
from morphnet.errors import ConfigError
from morphnet.pki.names import checked_name


def or_phone(command: Callable[..., None]) -> Callable[..., None]:
    """Lets `morphnet invite` invite a machine that has WireGuard and nothing of ours."""

    @functools.wraps(command)
    def invites(wireguard: bool, split: bool, replace: bool, as_json: bool, png: Path | None, **said: Any) -> None:
        if wireguard:
            from morphnet.cli.phones import Wishes, invite_phone  # brings Twisted

            wishes = Wishes(split, replace, as_json, said["file"], png)
            return invite_phone(said["place"], said["name"], said["address"], wishes)
        if split or replace or as_json or png is not None:
            raise ConfigError("--split, --replace, --json and --png go with --wireguard")
        _check_no_phone(load_server(said["place"]), checked_name(said["name"]))
        return command(**said)

    path = click.Path(path_type=Path)
    for option in (
        click.option("--png", type=path, help="With --wireguard: write the QR code to this file as well."),
        click.option("--json", "as_json", is_flag=True, help="With --wireguard: one JSON object, for machines."),
        click.option("--replace", is_flag=True, help="With --wireguard: what it was given before is good no more."),
        click.option("--split", is_flag=True, help="With --wireguard: only the inner networks go through it."),
        click.option(
            "--wireguard", is_flag=True, help="For the stock WireGuard app: print its configuration, and a QR code."
        ),
    ):
        invites = option(invites)
    return invites


def _check_no_phone(config: ServerConfig, name: str) -> None:
    with ledger_in(config.state_dir) as ledger:
        if any(each.name == name for each in ledger.phones()):
            raise ConfigError(f"{name} comes by WireGuard: `morphnet revoke {name}` first, or choose another name")
