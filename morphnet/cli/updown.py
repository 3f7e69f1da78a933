"""`morphnet up`, `down` and `restart`: this machine's roles, as services where systemd runs, else in the background."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec

import click

from morphnet.cli import background, systemd
from morphnet.cli.layout import Place, dir_option, now
from morphnet.cli.live import NOT_WELL
from morphnet.cli.running import CONFIGS, Role, alone, names_here, role_here
from morphnet.config.roles import RelayConfig, ServerConfig
from morphnet.errors import HostError, MorphnetError
from morphnet.status import NodeStatus
from morphnet.text import printable

WAIT = 10.0  # seconds for a connection, if the operator does not say
SETTLE = 1.0  # seconds that further uplinks have, once one works
LOOK_EVERY = 0.1  # seconds
Said = ParamSpec("Said")

roles_argument = click.argument("roles", nargs=-1, type=click.Choice(list(CONFIGS)))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has come of one role."""

    text: str
    code: int = 0  # for the shell
    warnings: tuple[str, ...] = ()  # one sentence each
    news: bool = True  # whether anything was done, or went wrong


@click.command()
@roles_argument
@click.option("--wait", type=click.FloatRange(0, 3600), default=WAIT, show_default=True, help="Seconds to wait for it.")
@click.option("--process", is_flag=True, help="In the background, also where systemd runs.")
@dir_option
def up(roles: tuple[str, ...], wait: float, process: bool, place: Place) -> None:
    """
    Start what is set up here, and wait until it is connected.

    Where systemd runs it is a service, which starts with the machine; else a process in the background.
    Without ROLES: each whose configuration is here, but a relay beside a server only when it is named.

    Exit code: 0 when all is well, 3 when something runs and does not do what it is there for, 1 when it does not run.
    """
    names = list(roles) or _usual(place)
    _tell([_tried(_up, place, each, wait, not process) for each in names])


@click.command()
@roles_argument
@dir_option
def down(roles: tuple[str, ...], place: Place) -> None:
    """
    Stop what runs here, and wait until this machine is as it was.

    It stays so when the machine starts anew. Without ROLES: all of it.
    """
    outcomes = [_tried(_down, place, each) for each in roles or names_here(place)]
    _tell(outcomes if roles else [each for each in outcomes if each.news] or outcomes)


@click.command()
@roles_argument
@click.option("--wait", type=click.FloatRange(0, 3600), default=WAIT, show_default=True, help="Seconds to wait for it.")
@dir_option
def restart(roles: tuple[str, ...], wait: float, place: Place) -> None:
    """
    Start anew what runs here, as after an upgrade: connections in the tunnel go on.

    Without ROLES: all that runs. Exit code: as `up`; 1 when nothing runs.
    """
    outcomes = [_tried(_restart, place, each, wait) for each in roles or names_here(place)]
    _tell(outcomes if roles else [each for each in outcomes if each.news] or outcomes)


def _usual(place: Place) -> list[str]:
    """`morphnet init` writes a relay's configuration beside the server's: two ports of theirs are the same."""
    names = names_here(place)
    return [each for each in names if each != "relay" or "server" not in names]


def _tell(outcomes: Sequence[Outcome]) -> None:
    for each in outcomes:
        for line in (each.text, *each.warnings):
            click.echo(printable(line), err=each.code == 1)
    codes = {each.code for each in outcomes}
    raise SystemExit(1 if 1 in codes else max(codes))


def _tried(what: Callable[Said, Outcome], *said: Said.args, **more: Said.kwargs) -> Outcome:
    """What has come of it; one role that fails does not keep the next from its turn."""
    try:
        return what(*said, **more)
    except MorphnetError as trouble:
        return Outcome(f"Error: {trouble}", 1)
    except OSError as trouble:
        return Outcome(f"Error: {trouble.filename or ''}: {trouble.strerror or trouble}", 1)


def _up(place: Place, name: str, wait: float, by_systemd: bool) -> Outcome:
    begun = now()
    with alone(place):
        role = role_here(place, name)
        ran = bool(role.process())
        if not ran:
            _check_ports(role)
        service = by_systemd and systemd.is_for(role)
        if not ran:
            (systemd if service else background).start(role)
    return _connected(
        role, wait, "was up already" if ran else "is up", served_since=begun if service and not ran else None
    )


def _check_ports(role: Role) -> None:
    """:raises HostError: a server, or a relay, of the same ports runs here in its place."""
    other = {"server": "relay", "relay": "server"}.get(role.name, "")
    if other not in names_here(role.place):
        return
    there = role_here(role.place, other)
    assert isinstance(role.config, ServerConfig | RelayConfig) and isinstance(there.config, ServerConfig | RelayConfig)
    if there.config.control_port == role.config.control_port and there.process():
        text = f"{role.name}: the {other} that runs here has TCP port {role.config.control_port} too"
        elsewhere = "`morphnet pki relay` makes a relay for another machine"
        raise HostError(f"{text}: `morphnet down {other}` first; {elsewhere}")


def _restart(place: Place, name: str, wait: float) -> Outcome:
    begun = now()
    with alone(place):
        role = role_here(place, name)
        if not role.process():
            return Outcome(f"{name} does not run", 1, news=False)
        service = systemd.is_for(role) and systemd.restart(role)
        if not service:
            background.restart(role)
    return _connected(role, wait, "runs anew", served_since=begun if service else None)


def _connected(role: Role, wait: float, how: str, *, served_since: float | None) -> Outcome:
    """
    Wait for it; or the sentence that says what is wrong.

    :param served_since: Unix seconds, when systemd was told to start it; None if that was not for systemd to do.
    """
    ends_at, well_at = time.monotonic() + wait, float("inf")
    while True:
        try:
            node = role.status()
        except HostError as trouble:
            node, why = None, str(trouble)
        if node is not None and node.role != role.name:
            raise HostError(f"{role.name}: a {node.role} answers at {role.feed}: give each a run_dir of its own")
        well_at = min(well_at, time.monotonic()) if node is not None and node.well else float("inf")
        if node is not None and node.well and (_is_settled(node) or time.monotonic() >= well_at + SETTLE):
            return Outcome(f"{role.name} {how}: {node.headline}")
        if time.monotonic() >= ends_at and well_at == float("inf"):
            break
        time.sleep(LOOK_EVERY)
    if node is not None:
        return Outcome(f"{role.name} {how}: {node.headline}; it goes on trying", NOT_WELL, node.warnings)
    if served_since is None:
        raise HostError(f"{role.name}: {why}; its log is {role.log}")
    told = systemd.why_not(role, served_since) or f"see journalctl -u {role.program}"
    if systemd.gave_up(role):
        raise HostError(f"{role.name}: {told}; mend that, then `morphnet up {role.name}`")
    raise HostError(f"{role.name}: {told}; systemd tries again, until `morphnet down {role.name}`")


def _is_settled(node: NodeStatus) -> bool:
    """Whether every uplink has had its answer: a moment after the first one it is no trouble that others have none."""
    return all(path.state != "probing" for session in node.sessions for path in session.paths)


def _down(place: Place, name: str) -> Outcome:
    with alone(place):
        return stopped(role_here(place, name, lenient=True))


def stopped(role: Role) -> Outcome:
    """
    It runs no more, and has left nothing behind.

    :raises HostError: it cannot be stopped by us, or its traces cannot be removed.
    """
    served = systemd.is_for(role) and systemd.stop(role)
    ran = background.stop(role) or served
    left = background.undo(role) if role.changes_host else 0
    background.tidy(role)
    traces = "; what one that was killed had left on this machine is undone" if left else ""
    how = "is down" if ran else "did not run"
    return Outcome(f"{role.name} {how}{traces}", news=ran or bool(left))
