"""Going over to another CA: `morphnet pki rotate`."""

from __future__ import annotations

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from morphnet.cli.layout import Place, day, dir_option, ledger_in, load_server, now
from morphnet.cli.pki import publish, tell
from morphnet.config.roles import ServerConfig
from morphnet.errors import ConfigError
from morphnet.pki import rotation
from morphnet.pki.authority import CLIENT_LIFETIME, SKEW
from morphnet.pki.book import JOIN, Book, signer_directory
from morphnet.pki.files import authority_home, trusted_cas
from morphnet.rights import rights_of
from morphnet.store.base import CertificateRecord


@click.command()
@click.option(
    "--finish", is_flag=True, help="Leave the CA before: first nothing is signed with it; once more, and it is void."
)
@click.option("--force", is_flag=True, help="Finish though some machines would have to be invited anew.")
@dir_option
def rotate(finish: bool, force: bool, place: Place) -> None:
    """Go over to a new CA: trusted beside the first, then alone. Machines follow by themselves."""
    config = load_server(place)
    with ledger_in(config.state_dir) as ledger:
        records = ledger.certificates()
    home = authority_home(config.pki_dir)
    if finish:
        _check_followed(config, records, force=force)
        with rights_of(home):
            cas = rotation.finish(config.pki_dir, now=now())
    else:
        key = Ed25519PrivateKey.generate()
        with rights_of(home):
            rotation.rotate(config.pki_dir, f"{config.name} {day(now())}", key, now=now())
            cas = trusted_cas(home)
    with rights_of(config.pki_dir):
        rotation.write_trusted(config.pki_dir, cas)
    publish(config, records)
    told = tell(config, place)
    whom = f"the running {' and '.join(told)} told" if told else "nothing of ours runs here now"
    until = day(cas[0].not_valid_after_utc.timestamp())
    if len(cas) == 1:
        click.echo(f"The network has one CA, good until {until}; {whom}.")
    elif finish:
        click.echo(f"Nothing more is signed with the CA before; {whom}. Servers and relays renew within minutes:")
        click.echo(f"  then once more: morphnet pki rotate --finish{place.option()}")
    else:
        click.echo(
            f"The network trusts a second CA, good until {until}; {whom}. Machines renew under it by themselves."
        )
        click.echo(f"  When all of them have: morphnet pki rotate --finish{place.option()}; it says who has not.")
        click.echo(f"  Keep a copy of {home} in a safe place.")


def _check_followed(config: ServerConfig, records: list[CertificateRecord], *, force: bool) -> None:
    """:raises ConfigError: somebody who is still good has not followed."""
    home, at = authority_home(config.pki_dir), now()
    since = {"client": trusted_cas(home)[0].not_valid_before_utc.timestamp() + SKEW}
    if not rotation.signs_before(home):
        since["server"] = rotation.finished_at(home)
    book, finished = signer_directory(config.state_dir), rotation.finished_at(home)
    with rights_of(book), Book(book).opened() as entries:  # who joined meanwhile has a certificate of the CA before
        joined = {each.serial for each in entries.signed.values() if each.what == JOIN and each.at < finished}
    last = {(each.kind, each.name): each for each in records if not each.revoked_at and each.kind in since}
    behind = sorted(
        each.name
        for each in last.values()
        if each.not_after > at and (each.not_after - CLIENT_LIFETIME < since[each.kind] or each.serial in joined)
    )
    if behind and not force:
        shown = ", ".join(behind[:10]) + (f" and {len(behind) - 10} more" if len(behind) > 10 else "")
        raise ConfigError(
            f"not yet under the newer CA: {shown}: start them, or `morphnet pki revoke` those that are gone for good;"
            " --force leaves them behind"
        )
