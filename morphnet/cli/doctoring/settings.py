"""Configurations, certificates and keys, as they lie on the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from morphnet.cli.doctoring.checks import Check, Fault, Patient
from morphnet.cli.running import Role
from morphnet.config.roles import ClientConfig, RelayConfig, ServerConfig
from morphnet.errors import ConfigError
from morphnet.pki.expiry import troubles
from morphnet.pki.files import load_credentials, read_certificate, trusted_cas

_MOST = 2000  # files of a directory that are looked at


def mistakes(patient: Patient) -> Iterable[Fault]:
    """Every configuration can be read, and says what makes sense."""
    return patient.mistaken.values()


def begun(patient: Patient) -> Iterable[Fault]:
    """There is something to look at."""
    if not patient.roles and not patient.mistaken:
        cure = "`morphnet init` founds a network, `morphnet join` joins one; or give the directory: --dir"
        yield Fault(f"nothing is set up in {patient.place.root}", cure, grave=False)


def _directories(patient: Patient) -> Iterator[Path]:
    of_networks = [each.config.pki_dir for each in patient.roles if hasattr(each.config, "pki_dir")]
    yield from dict.fromkeys([patient.place.root, *of_networks])


def modes(patient: Patient) -> Iterable[Fault]:
    """Keys are for their owner alone, and nobody else writes beside them."""
    for directory in _directories(patient):
        if directory.stat().st_mode & stat.S_IWOTH and not directory.stat().st_mode & stat.S_ISVTX:
            yield Fault(f"everybody may write in {directory}", f"chmod o-w {directory}", mend=_less(directory, 0o002))
        for key in sorted(directory.glob("*.key"))[:_MOST]:
            about = key.lstat()
            if stat.S_ISREG(about.st_mode) and about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                yield Fault(f"{key} can be read by other users", f"chmod 600 {key}", mend=_less(key, 0o077))


def _less(path: Path, bits: int) -> Callable[[], None]:
    """Takes these rights away, from the file itself and from no link that stands in its place by then."""

    def mend() -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) & ~bits)
        finally:
            os.close(descriptor)

    return mend


def _networked(patient: Patient) -> Iterator[tuple[Role, ClientConfig | ServerConfig | RelayConfig]]:
    for role in patient.of("client", "server", "relay"):
        assert isinstance(role.config, ClientConfig | ServerConfig | RelayConfig)  # of these roles
        if role.config.name or role.name != "client":
            yield role, role.config


def credentials(patient: Patient) -> Iterable[Fault]:
    """Certificate, key and CA are there and belong together."""
    for role, config in _networked(patient):
        try:
            load_credentials(config.pki_dir, config.name)
        except ConfigError as trouble:
            yield Fault(f"{role.name}: {trouble}", "")


def ends(patient: Patient) -> Iterable[Fault]:
    """No certificate is about to end."""
    for role, config in _networked(patient):
        try:
            own, cas = read_certificate(config.pki_dir, config.name), trusted_cas(config.pki_dir)
        except ConfigError:
            continue  # said above
        cure = "`morphnet up` has it renewed; a client that cannot reach its server joins once more"
        for sentence in troubles(own, cas, cure, now=patient.now):
            yield Fault(f"{role.name}: {sentence}", "")


CHECKS = (
    Check("something is set up here", begun, before=True),
    Check("every configuration can be read", mistakes),
    Check("keys are their owner's alone", modes),
    Check("certificate, key and CA belong together", credentials, ("client", "server", "relay")),
    Check("no certificate is about to end", ends, ("client", "server", "relay")),
)
