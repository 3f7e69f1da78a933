"""What the processes here say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from morphnet import __version__
from morphnet.cli import systemd
from morphnet.cli.doctoring.checks import Check, Fault, Patient
from morphnet.cli.doctoring.network import beside_server
from morphnet.cli.running import Role
from morphnet.status import NodeStatus, PathStatus
from morphnet.tunnel.mtu import BASE

MOST_LOSS = 0.05  # of the datagrams of a path, that are worth a word
LEAST_MTU = 1232  # bytes of UDP payload: IPv6's least packet, less its headers and UDP's
_SLOW = 1.0  # seconds of a round trip


def _pictures(patient: Patient) -> Iterator[tuple[Role, NodeStatus]]:
    for role in patient.roles:
        picture = patient.picture(role)
        if picture is not None:
            yield role, picture


def _paths(picture: NodeStatus) -> Iterator[PathStatus]:
    peers = {each.name for each in picture.peers}
    for session in picture.sessions:
        if session.name not in peers:
            yield from session.paths


def runs(patient: Patient) -> Iterable[Fault]:
    """What is set up runs, and answers."""
    for role in patient.roles:
        option = patient.place.option()
        if not patient.runs(role):
            if beside_server(patient, role):
                continue
            yield Fault(f"{role.name} does not run", f"morphnet up {role.name}{option}", grave=False)
        elif patient.picture(role) is None:
            text = f"{role.name} runs as process {role.process()}, and does not answer"
            yield Fault(text, f"morphnet down {role.name}{option} && morphnet up {role.name}{option}")


def well(patient: Patient) -> Iterable[Fault]:
    """It does what it is there for."""
    for role, picture in _pictures(patient):
        if not picture.well:
            yield Fault(f"{role.name}: {picture.headline}", "")


def warnings(patient: Patient) -> Iterable[Fault]:
    """It has nothing to complain of."""
    for role, picture in _pictures(patient):
        for sentence in picture.warnings:
            yield Fault(f"{role.name}: {sentence}", "", grave=False)


def version(patient: Patient) -> Iterable[Fault]:
    """It is of the version that is installed."""
    for role, picture in _pictures(patient):
        if picture.version != __version__:
            text = f"{role.name} is morphnet {picture.version}, and {__version__} is installed"
            yield Fault(text, f"morphnet restart {role.name}", grave=False)


def units(patient: Patient) -> Iterable[Fault]:
    """The services are as this version writes them."""
    for role in filter(systemd.is_for, patient.roles):
        if systemd.is_outdated(role):
            unit = systemd.UNITS / systemd.unit_of(role)
            text = f"{unit} is not what this version would write: it was changed, or is an earlier version's"
            cure = f"rm {unit} && morphnet up {role.name} && morphnet restart {role.name}; own changes: systemctl edit"
            yield Fault(text, cure, grave=False)


def paths(patient: Patient) -> Iterable[Fault]:
    """Every path carries, loses little, and takes whole packets."""
    for role, picture in _pictures(patient):
        if role.name != "client":
            continue
        resting = {each.name for each in picture.uplinks if each.metered}  # they are not asked for the size
        for path in _paths(picture):
            yield from _of_path(path, resting)


def _of_path(path: PathStatus, unasked: set[str]) -> Iterator[Fault]:
    where = f"the path by {path.uplink} to {path.remote}"
    if path.state not in ("active", "standby"):
        text = f"{where} is {path.state}"
        yield Fault(text, "is UDP open in the server's firewall, and in this network's?", grave=False)
        return
    if path.loss > MOST_LOSS:
        cure = f"leave it out where another one is as good: morphnet set exclude {path.uplink}"
        yield Fault(f"{where} loses {path.loss:.0%}", cure, grave=False)
    if 0 < path.mtu < LEAST_MTU and not (path.mtu == BASE and path.uplink in unasked):
        yield Fault(f"{where} takes {path.mtu} bytes at once", "something on the way has a small MTU", grave=False)
    if path.rtt is not None and path.rtt > _SLOW:
        yield Fault(f"{where} takes {path.rtt:.1f} s there and back", "somebody fills that link", grave=False)


def relays(patient: Patient) -> Iterable[Fault]:
    """Relays are reached, and so are peers."""
    for role, picture in _pictures(patient):
        for relay in picture.relays:
            if relay.state != "connected":
                yield Fault(f"{role.name}: the relay {relay.name} is not reached: {relay.state}", "", grave=False)
        for peer in picture.peers:
            if peer.way == "none":
                yield Fault(f"{role.name}: there is no way to {peer.name}", f"morphnet why {peer.name}", grave=False)


CHECKS = (
    Check("what is set up runs", runs),
    Check("it does what it is there for", well),
    Check("it has nothing to complain of", warnings),
    Check("it is of the version that is installed", version),
    Check("its service is as this version writes it", units),
    Check("every path carries", paths, ("client",)),
    Check("relays and peers are reached", relays, ("client", "server")),
)
