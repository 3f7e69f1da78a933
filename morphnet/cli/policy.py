"""`morphnet policy`: who may what in the network. It is written and published where the CA is, and asked everywhere."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click

from morphnet.cli import Commands
from morphnet.cli.layout import Place, dir_option, ledger_in, load_server, now
from morphnet.cli.pki import publish as publish_list
from morphnet.cli.pki import tell
from morphnet.config.policy import ANYBODY, GATEWAY, TCP, UDP, WORLD, Policy, Who, asked_ports, called, from_toml
from morphnet.config.roles import ClientConfig, ServerConfig
from morphnet.errors import ConfigError
from morphnet.host.here import public_addresses
from morphnet.ops.rundir import REVOKED, REVOKED_SERVER
from morphnet.ops.show_policy import published_at
from morphnet.pki.files import authority_home, has_authority, trusted_cas
from morphnet.pki.policy import Published, pack, read_published, sequence_of, unpack, write_published
from morphnet.rights import rights_of
from morphnet.roles.certificates.publishing import Publisher
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.text import DOMAIN, printable
from morphnet.tunnel.places import HERE, OURSELVES, TOLD, Places

_PROTOCOLS = {TCP: "tcp", UDP: "udp"}
_NO = 3  # exit code of `test`
_EMPTY = "There is no policy in this network: everybody may everything."

policy = Commands(
    "policy",
    {
        "check": "morphnet.cli.policy:check",
        "test": "morphnet.cli.policy:test",
        "publish": "morphnet.cli.policy:publish",
        "show": "morphnet.cli.policy:show",
        "withdraw": "morphnet.cli.policy:withdraw",
    },
    "Who may what in the network: policy.toml, where the CA is.",
)


@dataclass(frozen=True)
class _Machines:
    """Who there is, as far as the records here say."""

    names: frozenset[str] = frozenset()
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by name, the gateway's among them
    places: Places = field(default_factory=Places)  # whose they are, as a guard has it

    def who(self, text: str) -> list[Who]:
        """
        Whom somebody means by that: a name, once for each of its addresses; or an address.

        :raises ConfigError: neither.
        """
        try:
            return [self._at(text)]
        except ValueError:
            if "/" in text or text == ANYBODY:
                raise ConfigError(f"{text!r} is no machine: ask about a name, an address, gateway or world") from None
        return [self._at(each) for each in self.addresses.get(text, ())] or [Who((text,), b"")]

    def is_unknown(self, text: str) -> bool:
        """Whether it is a name of which the records here say nothing."""
        try:
            ipaddress.ip_address(text)
        except ValueError:
            return text not in {*self.names, *self.addresses, WORLD}
        return False

    def _at(self, address: str) -> Who:
        return self.places.who(ipaddress.ip_address(address).packed)


def _path(place: Place) -> Path:
    return place.root / "policy.toml"


def _draft(place: Place) -> Policy:
    """:raises ConfigError: there is none, or it has a mistake."""
    path = _path(place)
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}: docs/policy.md has one to begin with") from None
    except (OSError, UnicodeDecodeError) as trouble:
        raise ConfigError(f"cannot read {path}: {trouble}") from None
    try:
        return from_toml(text)
    except ConfigError as wrong:
        raise ConfigError(f"{path}: {wrong}") from None


def _machines(config: ServerConfig) -> _Machines:
    from morphnet.roles.server.node import gateway  # brings all of a server

    with ledger_in(config.state_dir) as ledger:
        names = {each.name for each in ledger.certificates() if not each.revoked_at}
        names |= {each.name for each in ledger.phones()}
        leases = {each.name: tuple(filter(None, (each.inner4, each.inner6))) for each in ledger.leases()}
    pools, places = tuple(filter(None, (config.pool4, config.pool6))), Places()
    own, called_so = tuple(map(gateway, pools)), (GATEWAY, *called(config.name))
    places.are(OURSELVES, dict.fromkeys(own, called_so), pools)
    places.are(HERE, dict.fromkeys(public_addresses(), called_so))
    places.are(TOLD, {address: called(name) for name, several in leases.items() for address in several})
    return _Machines(frozenset(names), {**leases, **dict.fromkeys(called_so, own)}, places)


def _known(config: ServerConfig | ClientConfig, file: str) -> Published | None:
    """
    What a process here has heard and kept.

    :raises OSError: it may not be read by this user, so nobody knows.
    """
    path = config.state_dir / file
    with rights_of(config.state_dir):
        try:
            path.open("rb").close()
        except FileNotFoundError:
            return None
        return Revoked(partial(trusted_cas, config.pki_dir), path).policy


def _published(config: ServerConfig) -> Published | None:
    """The last one of the network, as far as it is known where the CA is."""
    cas = trusted_cas(config.pki_dir)
    last = Publisher(config.state_dir, lambda: cas, None, partial(rights_of, config.state_dir)).last()
    kept = [read_published(authority_home(config.pki_dir)), last.policy if last is not None else b""]
    found = [unpack(each) for each in kept if sequence_of(each)] + [_known(config, REVOKED_SERVER)]
    return max((each for each in found if each is not None), key=lambda each: each.sequence, default=None)


def _in_force(place: Place) -> tuple[Published | None, _Machines]:
    """What holds here, and who there is."""
    if place.server_toml.exists():
        config = load_server(place)
        known = _published(config) if has_authority(config.pki_dir) else _known(config, REVOKED_SERVER)
        return known, _machines(config)
    place.check_begun()
    from morphnet.config.file import load

    return _known(load(ClientConfig, place.client_toml, {}), REVOKED), _Machines()


@click.command()
@dir_option
def check(place: Place) -> None:
    """Look for mistakes in policy.toml; nothing is changed."""
    config = load_server(place)  # first: elsewhere nobody is to write a policy.toml
    found = _draft(place)
    pack(Published(1, found))
    for sentence in _remarks(found, _machines(config).names):
        click.echo(f"note: {sentence}", err=True)
    click.echo(f"{_path(place)} is sound: {len(found.rules)} rules. `morphnet policy publish` puts it in force.")


def _remarks(found: Policy, names: frozenset[str]) -> list[str]:
    """What is no mistake, and may not be meant."""
    remarks = [_unknown(each) for each in sorted(found.named - names)]
    reached = {each for rule in found.rules for each in rule.targets}
    if not reached & {"*", WORLD}:
        remarks.append('nobody may go to the world through the gateway: a rule with to = "world" allows it')
    if not reached & {"*", GATEWAY}:
        remarks.append('nobody may reach the gateway itself, DNS and ping included: a rule with to = "gateway" does')
    return remarks


def _unknown(name: str) -> str:
    known = name.removesuffix(f".{DOMAIN}")
    return f"no machine is called {name} (yet)" + (f": here it is {known}" if known != name else "")


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.argument("port")
@click.option("--in-force", is_flag=True, help="The policy in force, also where policy.toml says something else.")
@dir_option
def test(source: str, target: str, port: str, in_force: bool, place: Place) -> None:
    """
    Whether FROM may reach TO at PORT ("22/tcp", "443", "icmp"), and by which rule.

    Where the CA is, policy.toml is asked, whether it is published or not. The exit code is 3 for no.
    """
    known, machines = _in_force(place)
    rules = known.policy if known is not None else Policy(is_open=True)
    if _path(place).exists() and not in_force:
        draft = _draft(place)
        if draft != rules:
            click.echo("policy.toml is not published; this is what it says:", err=True)
        rules = draft
    if rules.is_open:
        click.echo(f"yes: {_EMPTY[0].lower()}{_EMPTY[1:]}")
        return
    if not machines.addresses and any(each.address for text in (source, target) for each in machines.who(text)):
        click.echo("note: whose an address is, is known where the CA is: ask about names here", err=True)
    for text in (source, target):
        if machines.names and machines.is_unknown(text):
            click.echo(printable(f"note: {_unknown(text)}"), err=True)
    ends = [(one, other) for one in machines.who(source) for other in machines.who(target)]
    asked: dict[str, list[tuple[int, int]]] = {}
    for protocol, number in asked_ports(port):
        asked.setdefault(f"{number}/{_PROTOCOLS[protocol]}" if number >= 0 else "icmp", []).append((protocol, number))
    refused = False
    for what, several in asked.items():
        rule = next(filter(None, (rules.allows(*pair, *each) for pair in ends for each in several)), None)
        no = f"no: no rule lets {source} reach {target} at {what}"
        click.echo(printable(no if rule is None else f"yes ({what}): {rule.shown}"))
        refused |= rule is None
    if refused:
        raise SystemExit(_NO)


@click.command()
@dir_option
def publish(place: Place) -> None:
    """Put policy.toml in force in the whole network, now."""
    config = load_server(place)
    found = _draft(place)
    for sentence in _remarks(found, _machines(config).names):
        click.echo(f"note: {sentence}", err=True)
    _spread(config, place, found)


@click.command()
@dir_option
def withdraw(place: Place) -> None:
    """Have no policy any more: everybody may everything, as before there was one."""
    _spread(load_server(place), place, Policy(is_open=True))


def _spread(config: ServerConfig, place: Place, found: Policy) -> None:
    home, known = authority_home(config.pki_dir), _published(config)
    if known is not None and known.policy == found:
        what = "There has been no policy" if found.is_open else "This policy is in force"
        click.echo(f"{what} since {published_at(known.sequence)}.")
        published = known
    else:
        published = Published(max(int(now()), known.sequence + 1 if known is not None else 0), found)
    packed = pack(published)
    with rights_of(home):
        write_published(home, packed)
    with ledger_in(config.state_dir) as ledger:
        records = ledger.certificates()
    try:
        publish_list(config, records, packed)
    finally:
        told = tell(config, place)
    whom = f"the running {' and '.join(told)} told" if told else "nothing of ours runs here now"
    what = "The policy is withdrawn" if found.is_open else f"The policy with {len(found.rules)} rules is published"
    click.echo(f"{what}; {whom}.")


@click.command()
@click.option("--json", "for_machines", is_flag=True, help="One JSON object, for machines.")
@dir_option
def show(for_machines: bool, place: Place) -> None:
    """The policy that is in force here, its groups written out."""
    known, _ = _in_force(place)
    if for_machines:
        said = json.loads(known.policy.as_text()) if known is not None else {"open": True}
        click.echo(json.dumps({"sequence": known.sequence if known is not None else 0, **said}, indent=2))
    elif known is None or known.policy.is_open:
        click.echo(_EMPTY)
    else:
        click.echo(f"published {published_at(known.sequence)}")
        for rule in known.policy.rules:
            click.echo(printable(rule.shown))
