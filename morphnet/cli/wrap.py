"""`morphnet wrap` and `morphnet unwrap`: a WireGuard of wg-quick goes over a carry, and as it did before."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict, Unpack

import click

from morphnet.cli.layout import Place, dir_option
from morphnet.cli.running import alone, role_here
from morphnet.config import wgquick
from morphnet.config.carry import MOST, entry
from morphnet.config.edit import with_value
from morphnet.config.file import as_toml, loads
from morphnet.config.roles import ClientConfig
from morphnet.durable import rewrite, sync_directory, write_new
from morphnet.errors import ConfigError
from morphnet.rights import rights_of
from morphnet.text import printable

_FIRST_PORT = 51821
_NAME = re.compile(r"[A-Za-z0-9_=+.-]{1,15}")  # of an interface, as wg-quick has it
_file = click.option("--file", type=click.Path(path_type=Path), help="Its file, else /etc/wireguard/NAME.conf.")


class _How(TypedDict):
    """What else is said to `wrap`."""

    peer: str | None
    to: str
    link_mtu: int


@click.command()
@click.argument("name")
@_file
@click.option("--peer", help="Public key of the peer that is meant, where several have an Endpoint.")
@click.option("--to", default="wireguard", show_default=True, help="The server's name for the service.")
@click.option("--link-mtu", default=1500, show_default=True, help="MTU of the smallest link on the way.")
@click.option("--apply", is_flag=True, help="Do it; without this it is only shown.")
@dir_option
def wrap(name: str, file: Path | None, *, apply: bool, place: Place, **how: Unpack[_How]) -> None:
    """
    Send a WireGuard through the tunnel, as in `morphnet wrap wg0`.

    Shows what would change in its file and in ours; --apply changes it.
    """
    path = _path(name, file)
    with alone(place):
        before = _read(path)
        if _beside(path).exists():
            raise ConfigError(f"{name} is wrapped already, or half: `morphnet unwrap {name}` puts it back")
        role, to = role_here(place, "client"), how["to"]
        config = role.config
        assert isinstance(config, ClientConfig)  # it is the client's
        with rights_of(place.root):
            client = role.file.read_bytes()
        try:
            chosen = _chosen(wgquick.peers(before), how["peer"])
            listen = _listen(config, wgquick.values(before, "listenport"))
            fresh = wgquick.wrapped(before, {chosen.key: listen}, wgquick.mtu_for(before, how["link_mtu"]))
        except ConfigError as wrong:
            raise ConfigError(f"{path} {wrong}") from None
        ours = _with_entry(client.decode(), config, f"{listen}={to}")
        loads(ClientConfig, ours, role.file)
        kept = wgquick.Kept(before, wgquick.digest(fresh), str(role.file), client, wgquick.digest(ours.encode()))
        if apply:
            write_new(_beside(path), wgquick.encode_kept(kept), mode=0o600)
            with rights_of(place.root):
                rewrite(role.file, ours.encode())
            rewrite(path, fresh)
    _tell(path, before, fresh)
    _tell(role.file, client, ours.encode())
    _notes(before, config, chosen, to)
    click.echo(f"Done: restart morph-client and {name}." if apply else "Nothing was changed: --apply does it.")


@click.command()
@click.argument("name")
@_file
@click.option("--force", is_flag=True, help="Also if its file was changed since: these changes are lost.")
@dir_option
def unwrap(name: str, file: Path | None, *, force: bool, place: Place) -> None:
    """Put the file of a WireGuard back as it was before `morphnet wrap`, byte for byte."""
    path = _path(name, file)
    with alone(place):
        _clean(path)
        try:
            kept = wgquick.decode_kept(_beside(path).read_bytes())
        except FileNotFoundError:
            raise ConfigError(f"{name} is not wrapped: {path} is as it was") from None
        except ConfigError as wrong:
            raise ConfigError(f"{_beside(path)} {wrong}") from None
        now = _read(path)
        if now != kept.original:
            if wgquick.digest(now) != kept.fresh and not force:
                raise ConfigError(
                    f"{path} was changed since it was wrapped: --force puts the old one back all the same"
                )
            rewrite(path, kept.original)
        left = _restore_client(place, kept)
        _beside(path).unlink()
        sync_directory(path.parent)
    click.echo(printable(f"{path} is as it was before. {left}Restart morph-client and {name}."))


def _path(name: str, file: Path | None) -> Path:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name[:40]!r} is no name of an interface: say it as in `morphnet wrap wg0`, and --file FILE"
        )
    return (file or Path(f"/etc/wireguard/{name}.conf")).absolute()


def _beside(path: Path) -> Path:
    """Where it is kept what was before; wg-quick reads no file of that name."""
    return path.with_name(f"{path.name}.morphnet")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}: say by --file where wg-quick's configuration is") from None


def _clean(path: Path) -> None:
    """Drafts that a command has left that was killed: there are keys in them."""
    real = path.resolve()
    for target in {real, _beside(path)}:
        draft = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{16}}")
        for each in [found for found in target.parent.iterdir() if draft.fullmatch(found.name)]:
            each.unlink()


def _chosen(found: list[wgquick.Peer], key: str | None) -> wgquick.Peer:
    called = [each for each in found if key in (None, each.key)]
    if not called:
        raise ConfigError("has no [Peer] with an Endpoint" + (f" and the key {key[:50]!r}" if key else ""))
    if len(called) > 1:
        several = ", ".join(f"{each.key} at {each.endpoint}" for each in called)
        raise ConfigError(
            f"has several peers with an Endpoint, say by --peer which one is behind the server: {several}"
        )
    host = called[0].endpoint.rpartition(":")[0].strip("[]")
    if host == "localhost" or host.startswith("127.") or host == "::1":
        raise ConfigError(f"has the Endpoint {called[0].endpoint}, which is this machine: it goes over a carry already")
    return called[0]


def _listen(config: ClientConfig, own: Iterable[str]) -> str:
    """The first port on loopback that neither we nor that WireGuard uses."""
    if config.legacy:
        raise ConfigError("cannot be carried: this client uses an original's server, send to its `legacy_listen`")
    taken = {str(entry(each).port) for each in config.carry} | set(own)
    port = next(each for each in range(_FIRST_PORT, _FIRST_PORT + 2 * MOST + 99) if str(each) not in taken)
    return f"127.0.0.1:{port}"


def _with_entry(text: str, config: ClientConfig, fresh: str) -> str:
    """
    Our file with one entry more, in the way in which it has them.

    :raises ConfigError: they stand there in a way that only the operator can change.
    """
    if re.search(r"^[ \t]*\[\[[ \t]*carry[ \t]*\]\]", text, re.MULTILINE):
        end, (listen, _, to) = "\r\n" if "\r\n" in text else "\n", fresh.rpartition("=")
        gap = "" if text.endswith("\n") else end
        return f'{text}{gap}{end}[[carry]]{end}listen = "{listen}"{end}to = "{to}"{end}'
    return with_value(text, ("carry",), as_toml((*config.carry, fresh)))


def _restore_client(place: Place, kept: wgquick.Kept) -> str:
    """Our own file, unless it was changed since: then, a sentence."""
    file = Path(kept.client)
    with rights_of(place.root):
        try:
            now = wgquick.digest(file.read_bytes())
        except FileNotFoundError:
            return ""
        if now == wgquick.digest(kept.client_original):
            return ""
        if now != kept.client_fresh:
            return f"{file} was changed since: take its carry entry out by hand. "
        rewrite(file, kept.client_original)
    return ""


def _tell(path: Path, before: bytes, after: bytes) -> None:
    """The lines that change, and no others: there are keys in the file."""
    click.echo(printable(f"{path}:"))
    old, new = (text.decode(errors="replace").splitlines() for text in (before, after))
    for line in list(difflib.unified_diff(old, new, n=0, lineterm=""))[2:]:
        if line[:1] in "+-" and line[1:].strip():
            click.echo(printable(f"  {line}"))


def _notes(text: bytes, config: ClientConfig, chosen: wgquick.Peer, to: str) -> None:
    """What the operator has to see to."""
    port = chosen.endpoint.rpartition(":")[2]
    click.echo(
        printable(f"On the server: `morphnet set carry.services {to}=127.0.0.1:{port}`, if its WireGuard is there.")
    )
    if "true" in [each.lower() for each in wgquick.values(text, "saveconfig")]:
        click.echo("SaveConfig is on: wg-quick writes the file anew when it ends, and `unwrap` will want --force.")
    if not wgquick.takes_default(text) and not wgquick.values(text, "dns"):
        return
    for server in filter(_is_name, config.all_servers()):
        click.echo(printable(f"{server} is a name: write an address, and the name as `server_name`, to need no DNS."))
    if config.tun and "default" in config.routes:
        click.echo(
            "Both this WireGuard and the tunnel take the default route: `morphnet set tun ''` leaves it to WireGuard."
        )


def _is_name(server: str) -> bool:
    for host in (server, server.rpartition(":")[0]):
        try:
            ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            continue
        return False
    return True
