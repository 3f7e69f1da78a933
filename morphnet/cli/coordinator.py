"""`morphnet coordinator`: make one, and invite homes."""

from __future__ import annotations

import os
import pwd
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from morphnet.cli import Commands
from morphnet.cli.layout import Place, dir_option, now
from morphnet.cli.live import feed_of, run_dir_option
from morphnet.config.home import HTTPS_PORT, LENT, CoordinatorConfig
from morphnet.durable import make_directory, write_new, write_over
from morphnet.errors import ConfigError, HostError
from morphnet.ops import feedclient
from morphnet.ops.picture import move_lines
from morphnet.pki.names import checked_host, join_address
from morphnet.rights import rights_of
from morphnet.roles.coordinator.invitations import KEY, read_key
from morphnet.roles.coordinator.succession import ANSWER_WITHIN, read_fallbacks
from morphnet.roles.coordinator.succession import FILE as FALLBACKS
from morphnet.status import MoveStatus, from_json
from morphnet.store.homes import DATABASE, HomesLedger, hidden
from morphnet.text import printable
from morphnet.wire.messages.home.calls import MOST_FALLBACKS, to_text
from morphnet.wire.messages.home.invitation import Invitation

FILE = "coordinator.toml"
coordinator = Commands(
    "coordinator",
    {
        "init": "morphnet.cli.coordinator:init",
        "invite": "morphnet.cli.coordinator:invite",
        "forget": "morphnet.cli.coordinator:forget",
        "move": "morphnet.cli.coordinator:move",
        "fallbacks": "morphnet.cli.coordinator:fallbacks",
        "check": "morphnet.cli.page:check",
        "lend": "morphnet.cli.coordinator:lend",
    },
    "A public host that introduces browsers to homes.",
)


def _load(place: Place) -> CoordinatorConfig:
    from morphnet.config.file import load

    file = place.root / FILE
    if not file.exists():
        raise ConfigError(f"there is no {file}: run `morphnet coordinator init` here, or give its --dir")
    return load(CoordinatorConfig, file, {})


@click.command()
@click.option("--certificate", type=click.Path(path_type=Path), help="PEM file with the certificate for the page.")
@click.option("--key", type=click.Path(path_type=Path), help="PEM file with its key.")
@click.option("--acme", multiple=True, help="DNS name of the page: get a certificate by ACME; may be given again.")
@click.option("--agree", is_flag=True, help="With --acme: you have read the terms of Let's Encrypt, and agree to them.")
@click.option("--plain", is_flag=True, help="No TLS here: a proxy on this machine speaks it.")
@click.option("--port", default=HTTPS_PORT, show_default=True, help="TCP port of the page.")
@dir_option
def init(plain: bool, port: int, place: Place, **tls: Any) -> None:
    """Make a coordinator."""
    from morphnet.config.file import render

    shown = _shown(plain=plain, **tls)
    file = place.root / FILE
    if file.exists():
        raise ConfigError(f"{file} is there already")
    state = place.state_of("coordinator")
    settings = {
        "port": port,
        "plain": plain,
        "proxy": plain,
        "listen": ["127.0.0.1"] if plain else ["0.0.0.0", "::"],
        "state_dir": state,
        "run_dir": place.run_of("coordinator"),
        "manhole": {"authorized_keys": place.authorized_keys},
    }
    text = render(CoordinatorConfig, settings | shown, intro="morphnet coordinator")
    for directory in (place.root, state):
        make_directory(directory)
    write_new(state / KEY, to_text(X25519PrivateKey.generate().private_bytes_raw()).encode() + b"\n", mode=0o600)
    write_new(file, text.encode())
    click.echo(f"Made {file}.\n\nNext:")
    click.echo(f"  morphnet up coordinator{place.option()}")
    click.echo(f"  morphnet coordinator invite --address PUBLIC-NAME{place.option()}    a line for a home")


def _shown(
    *, plain: bool, certificate: Path | None, key: Path | None, acme: tuple[str, ...], agree: bool
) -> dict[str, Any]:
    """
    Settings of what browsers are shown.

    :raises ConfigError: too little or too much was given.
    """
    if acme:
        if plain or certificate or key:
            raise ConfigError("--acme stands alone: give no --certificate, --key or --plain with it")
        if not agree:
            raise ConfigError("read the terms at https://letsencrypt.org/repository/, and give --agree with --acme")
        return {"acme": {"names": tuple(each.lower() for each in acme), "terms_agreed": True}}
    if certificate is not None and key is not None:
        return {"certificate": certificate.absolute(), "key": key.absolute()}
    if plain:
        return {}
    raise ConfigError(
        "give --certificate and --key for HTTPS, or --acme NAME to have a certificate got, or --plain behind a proxy"
        " that speaks it"
    )


@click.command()
@click.option("--address", required=True, help="DNS name or IP address where homes and browsers reach this host.")
@click.option("--page", help="Address of the page, where it is not https://ADDRESS.")
@click.option("--days", default=7, show_default=True, help="How long it is good.")
@click.option("--homes", default=1, show_default=True, type=click.IntRange(1, 100_000), help="For how many homes.")
@dir_option
def invite(address: str, page: str | None, days: int, homes: int, place: Place) -> None:
    """Print a line with which a home may register: it is good once, or for so many homes."""
    config, token = _load(place), secrets.token_urlsafe(24)
    host = checked_host(address)
    default = f"https://{host}" if config.port == HTTPS_PORT else f"https://{join_address(host, config.port)}"
    with _ledger_of(config) as ledger:
        public = read_key(config.state_dir).public_key().public_bytes_raw()
        made = now()
        ledger.invite(hidden(token), int(made) + days * 86400, homes, int(made * 1000))
    line = Invitation(join_address(host, config.home_port), to_text(public), page or default, token).line()
    click.echo(line)


@click.command()
@click.argument("home")
@dir_option
def forget(home: str, place: Place) -> None:
    """Let HOME (its key, as in its link behind #) register no more, unless it is invited anew."""
    config = _load(place)
    with _ledger_of(config) as ledger:
        if not ledger.forget(home, int(now() * 1000), tell=bool(config.redis_url)) and not config.redis_url:
            raise ConfigError("that home is not known here")
    now_on = (
        "all coordinators let go of it" if config.redis_url else "where it is registered now ends with the next start"
    )
    click.echo(f"It may not register any more; {now_on}.")


@click.command()
@click.argument("home")
@click.argument("line")
@run_dir_option
@dir_option
def move(home: str, line: str, run_dir: Path | None, place: Place) -> None:
    """
    Have HOME (its key, or how that begins; or "all") register with another coordinator from now on.

    LINE is what `morphnet coordinator invite` printed there; for several homes with --homes. A home that cannot
    register there stays here; what browsers have open at a home goes on.
    """
    Invitation.read(line)
    asked = {"ask": "move", "home": home, "to": line}
    said = feedclient.ask(feed_of(run_dir, place, "coordinator"), asked, ANSWER_WITHIN + feedclient.PATIENCE)
    try:
        done = from_json(MoveStatus, said)
    except (KeyError, TypeError, ValueError):
        raise HostError(feedclient.OTHER_VERSION) from None
    for words in move_lines(done):
        click.echo(printable("".join(text for text, _ in words)))
    if done.stayed:
        raise SystemExit(1)


@click.command()
@click.argument("lines", nargs=-1)
@click.option("--none", is_flag=True, help="There are none any more.")
@dir_option
def fallbacks(lines: tuple[str, ...], none: bool, place: Place) -> None:
    """
    Name coordinators for homes to use while this one does not answer, best first.

    Each of LINES is what `morphnet coordinator invite --homes` printed there. Without any, print which are named now.
    """
    config = _load(place)
    if lines or none:
        for line in lines:
            Invitation.read(line)
        if len(lines) > MOST_FALLBACKS:
            raise ConfigError(f"at most {MOST_FALLBACKS} fallbacks can be named")
        with rights_of(config.state_dir):
            write_over(config.state_dir / FALLBACKS, "".join(f"{line}\n" for line in lines).encode(), mode=0o600)
        click.echo(f"Homes are told by:\n  morphnet reload --role coordinator{place.option()}")
        return
    with rights_of(config.state_dir):
        for line in read_fallbacks(config.state_dir):
            click.echo(Invitation.read(line).coordinator)


@click.command()
@click.argument("user")
@dir_option
def lend(user: str, place: Place) -> None:
    """
    Give the service's USER copies of the page's certificate and key.

    The unit of systemd does it as root, at each start and reload: the files themselves are often root's alone.
    """
    config = _load(place)
    try:
        who = pwd.getpwnam(user)
    except KeyError:
        raise ConfigError(f"there is no user {user} here") from None
    if not config.certificate:
        return
    contents = {name: Path(getattr(config, name)).read_bytes() for name in LENT}
    with rights_of(config.run_dir):
        if os.geteuid() != who.pw_uid:
            raise ConfigError(f"{config.run_dir} does not belong to {user}: systemd makes it")
        for name, content in contents.items():
            write_over(config.run_dir / LENT[name], content, mode=0o600)


@contextmanager
def _ledger_of(config: CoordinatorConfig) -> Iterator[HomesLedger]:
    """Who may come, with the rights of whom it belongs to; the coordinator may run meanwhile."""
    with rights_of(config.state_dir):
        ledger = HomesLedger(config.state_dir / DATABASE)
        try:
            yield ledger
        finally:
            ledger.close()
