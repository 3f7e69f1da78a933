"""A further relay for a network: `morphnet pki relay`."""

from __future__ import annotations

from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from morphnet.cli.layout import Place, day, dir_option, ledger_in, load_server, now
from morphnet.config.roles import RELAY_PORT, RelayConfig
from morphnet.durable import make_directory, write_new
from morphnet.errors import ConfigError
from morphnet.pki.authority import names_of, serial_text
from morphnet.pki.files import authority_home, read_certificate, trusted_cas, write_certificate, write_key
from morphnet.pki.names import checked_host, checked_name, join_address
from morphnet.pki.rotation import load_authorities, write_trusted
from morphnet.rights import rights_of
from morphnet.store.base import CertificateRecord


@click.command()
@click.argument("name")
@click.option(
    "--address", "addresses", metavar="PUBLIC", multiple=True, help="DNS name or IP address where nodes reach it."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A directory to make; copy it there.")
@dir_option
def relay(name: str, addresses: tuple[str, ...], out: Path, place: Place) -> None:
    """Make all that a further relay NAME needs, to be copied to its host."""
    from morphnet.config.file import render

    config, name, at = load_server(place), checked_name(name), now()
    names = list(dict.fromkeys([name, *(checked_host(each) for each in addresses)]))
    there = Place(out.expanduser().absolute())
    if there.relay_toml.exists():
        raise ConfigError(f"{there.relay_toml} is there already: give another --out")
    authority, key = load_authorities(config.pki_dir, now=at).known, Ed25519PrivateKey.generate()
    certificate = authority.server(key.public_key(), names, now=at)
    ends = int(certificate.not_valid_after_utc.timestamp())
    with ledger_in(config.state_dir) as ledger:
        ledger.add_certificate(CertificateRecord(serial_text(certificate), name, "server", ends))
    own = names_of(read_certificate(config.pki_dir, config.name))
    renew_at = join_address(own[:2][-1], config.control_port)  # the first is what it is called, the next where it is
    within = Place(Path()).settings(relay=True)  # from where the file is: on the other host that is another directory
    settings = {"name": name, "renew_at": renew_at, **within}
    with rights_of(there.root):
        for directory in (there.root, there.pki_dir):
            make_directory(directory)
        write_key(there.pki_dir, name, key)
        write_certificate(there.pki_dir, name, certificate)
        write_trusted(there.pki_dir, trusted_cas(authority_home(config.pki_dir)))
        write_new(there.relay_toml, render(RelayConfig, settings, intro=f"morphnet relay {name}").encode())
        write_new(there.authorized_keys, b"", mode=0o600)
    reached = names[1] if len(names) > 1 else name
    click.echo(f"Made {there.root} for the relay {name}, good until {day(ends)}: copy it to that host, and")
    click.echo("  there: morphnet up relay --dir DIRECTORY, wherever it is then, but not /etc/morphnet")
    click.echo(f'  on each machine, in client.toml: [mesh] relays = [..., "{reached}"] (TCP {RELAY_PORT})')
