"""`morphnet routes`: networks behind clients, and which of them the operator of the gateway has approved."""

from __future__ import annotations

import ipaddress
import json

import click
from click.core import ParameterSource

from morphnet.cli.layout import Place, dir_option, ledger_in, load_server
from morphnet.cli.live import feed_of, print_lines
from morphnet.config.networks import unfit
from morphnet.errors import ConfigError
from morphnet.ops import feedclient
from morphnet.ops.show_networks import networks_lines
from morphnet.rendezvous.advertising import ASKED
from morphnet.status import NetworksStatus, NetworkStatus, as_json, from_json

_NOT_RUNNING = "the server does not run here now: it holds from its next start on"


@click.group(invoke_without_command=True)
@click.option("--json", "for_machines", is_flag=True, help="One JSON object, for machines.")
@dir_option
@click.pass_context
def routes(ctx: click.Context, for_machines: bool, place: Place) -> None:
    """
    Networks behind clients: what they offer, what is approved and used, and what is refused, and why.

    On a gateway of all its clients; on a client what is behind itself, and behind others.
    """
    if ctx.invoked_subcommand is not None:
        if ctx.get_parameter_source("place") is ParameterSource.COMMANDLINE:
            raise ConfigError(f"write --dir behind `{ctx.invoked_subcommand}`")
        return
    found = _standing(place)
    if for_machines:
        click.echo(json.dumps(as_json(found), indent=2))
    else:
        print_lines(networks_lines(found.networks) or [[("no network is behind a client", "dim")]])
        asked = [f"{each.client} {each.network}" for each in found.networks if each.state == ASKED]
        if asked and place.server_toml.exists():
            click.echo(f"\nNext, if that shall be reached: morphnet routes approve {asked[0]}{place.option()}")


def _standing(place: Place) -> NetworksStatus:
    """As the process says; without one, what is approved."""
    if not place.server_toml.exists():
        node = feedclient.node_status(feedclient.ask(feed_of(None, place), {"ask": "status"}))
        return NetworksStatus(node.networks)
    if (told := _told(place)) is not None:
        return told
    with ledger_in(load_server(place).state_dir) as ledger:
        approved = ledger.approved()
    return NetworksStatus(tuple(NetworkStatus(network, name, "idle", "is approved") for name, network in approved))


def _told(place: Place) -> NetworksStatus | None:
    """What the server answers, that has looked what is approved now; None when it does not run."""
    try:
        return from_json(NetworksStatus, feedclient.ask(feed_of(None, place, "server"), {"ask": "networks"}))
    except feedclient.Nobody:
        return None


@routes.command()
@click.argument("name")
@click.argument("network")
@dir_option
def approve(name: str, network: str, place: Place) -> None:
    """Let NETWORK, as that client offers it, be reached behind the client NAME; at once, if it offers it now."""
    prefix = _network(network)
    if why := unfit(prefix):
        raise ConfigError(f"{prefix} {why}")
    with ledger_in(load_server(place).state_dir) as ledger:
        if name not in {each.name for each in ledger.certificates() if each.kind == "client"}:
            raise ConfigError(f"no certificate was given to a client {name!r} here")
        new = ledger.approve(name, prefix)
    again = "" if new else " already"
    click.echo(f"{prefix} is approved behind {name}{again}: {_state(place, name, prefix)}")


@routes.command()
@click.argument("name")
@click.argument("network")
@dir_option
def revoke(name: str, network: str, place: Place) -> None:
    """Let NETWORK be reached behind the client NAME no more, from now on."""
    prefix = _network(network)
    with ledger_in(load_server(place).state_dir) as ledger:
        if not ledger.disapprove(name, prefix):
            raise ConfigError(f"{prefix} is not approved behind {name}")
    _told(place)
    click.echo(f"{prefix} is not approved behind {name} any more")


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ConfigError(f"{text[:60]!r} is no network like 192.168.7.0/24") from None


def _state(place: Place, name: str, network: str) -> str:
    """How it stands with it now, in one phrase."""
    told = _told(place)
    if told is None:
        return _NOT_RUNNING
    of_it = (each for each in told.networks if (each.client, each.network) == (name, network))
    return next((each.why or "it is reached now" for each in of_it), "it is not offered")


commands: list[click.Command] = [routes]
