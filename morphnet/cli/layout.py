"""Where morphnet's files are: one directory with the configuration, and what it names."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from morphnet.config.roles import ServerConfig
from morphnet.config.whole import NOT_JOINED
from morphnet.errors import ConfigError
from morphnet.rights import rights_of
from morphnet.store.ledger import DATABASE, Ledger

SYSTEM = Path("/etc/morphnet")
NETWORKED = ("client", "server", "relay")  # roles that have a certificate of a network
ALONE = ("coordinator", "home", "upload")  # those that have none
_LAST_DAY = 253402300799  # Unix seconds: no calendar here goes beyond the year 9999
_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Place:
    """One directory of morphnet's, and the paths that its files will name."""

    root: Path  # absolute

    @property
    def server_toml(self) -> Path:
        return self.root / "server.toml"

    @property
    def relay_toml(self) -> Path:
        return self.root / "relay.toml"

    @property
    def client_toml(self) -> Path:
        return self.root / "client.toml"

    @property
    def upload_toml(self) -> Path:
        return self.root / "upload.toml"

    @property
    def authorized_keys(self) -> Path:
        return self.root / "authorized_keys"

    @property
    def pki_dir(self) -> Path:
        return self.root / "pki"

    @property
    def state_dir(self) -> Path:
        return Path("/var/lib/morphnet") if self.root == SYSTEM else self.root / "state"

    @property
    def run_dir(self) -> Path:
        return Path("/run/morphnet") if self.root == SYSTEM else self.root / "run"

    @property
    def relay_run_dir(self) -> Path:
        return self.run_of("relay")

    def run_of(self, role: str) -> Path:
        """The run_dir of a role that may run beside others."""
        return Path(f"/run/morphnet-{role}") if self.root == SYSTEM else self.root / f"run-{role}"

    def state_of(self, role: str) -> Path:
        """The state_dir of a role that is not of the network: its user is another one."""
        return Path(f"/var/lib/morphnet-{role}") if self.root == SYSTEM else self.root / role

    def running(self, file: str) -> Path:
        """
        Where a running process keeps `file`: that of the first role in the order of `up` that runs here.

        :raises ConfigError: nothing does, nor ever can before this machine has joined a network.
        """
        places = [self.run_dir / file, *(self.run_of(role) / file for role in ("relay", *ALONE))]
        for there in places:
            if there.exists():
                return there
        self.check_begun()
        return next((self.run_of(role) / file for role in ALONE if self.is_only(role)), places[0])

    def check_begun(self) -> None:
        """:raises ConfigError: there is no configuration, so this machine has not joined a network, nor founded one."""
        if self.is_begun():
            return
        if self.root != SYSTEM and Place(SYSTEM).is_begun():
            raise ConfigError(f"there is nothing in {self.root}: use `sudo`, for morphnet is set up in {SYSTEM} here")
        raise ConfigError(f"{NOT_JOINED} (there is no configuration in {self.root})")

    def is_begun(self) -> bool:
        """Whether there is a configuration, as far as one may look."""
        try:
            return any((self.root / f"{role}.toml").exists() for role in (*NETWORKED, *ALONE))
        except PermissionError:
            return True

    def is_only(self, role: str) -> bool:
        """Whether this machine is that and nothing else."""
        there = [each for each in (*NETWORKED, *ALONE) if (self.root / f"{each}.toml").exists()]
        return there == [role]

    def settings(self, *, relay: bool = False) -> dict[str, Any]:
        """What every configuration file says of paths; a relay may run beside a server."""
        return {
            "pki_dir": self.pki_dir,
            "state_dir": self.state_dir,
            "run_dir": self.relay_run_dir if relay else self.run_dir,
            "manhole": {"authorized_keys": self.authorized_keys},
        }

    def option(self) -> str:
        """What to add to a `morphnet` command so that it finds this place: "" or " --dir ROOT"."""
        return "" if self.root == default_root() else f" --dir {self.root}"

    def config_option(self, file: Path) -> str:
        """What to add to `twistd morph-...` so that it finds its configuration: "" or " --config FILE"."""
        return "" if self.root == SYSTEM else f" --config {file}"


def default_root() -> Path:
    """/etc/morphnet for root, else the user's own."""
    if os.geteuid() == 0:
        return SYSTEM
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "morphnet"


def _place(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Place:
    return Place(Path(value).expanduser().absolute() if value else default_root())


def dir_option(command: _F) -> _F:
    """`--dir`, handed to the command as `place`."""
    return click.option(
        "--dir",
        "place",
        metavar="DIR",
        envvar="MORPHNET_DIR",
        callback=_place,
        help="Where the configuration is; /etc/morphnet for root, else ~/.config/morphnet.",
    )(command)


def load_server(place: Place) -> ServerConfig:
    """:raises ConfigError: no server was made here, or its configuration has a mistake."""
    from morphnet.config.file import load

    if not place.server_toml.exists():
        raise ConfigError(f"there is no {place.server_toml}: run `morphnet init` on the server, or give its --dir")
    return load(ServerConfig, place.server_toml, {})


@contextmanager
def ledger_in(state_dir: Path, *, new: bool = False) -> Iterator[Ledger]:
    """
    The network's records, with the rights of whom they belong to; the server may run meanwhile.

    :param new: they begin now.
    :raises ConfigError: others than their owner may write where they are, or they are lost.
    :raises HostError: they cannot be opened.
    """
    with rights_of(state_dir):
        ledger = (Ledger if new else Ledger.of_network)(state_dir / DATABASE)
        try:
            yield ledger
        finally:
            ledger.close()


def now() -> float:
    """Unix seconds."""
    return time.time()


def day(at: float) -> str:
    """A date as it is shown, in UTC."""
    return _date(at).strftime("%Y-%m-%d")


def moment(at: float) -> str:
    """A date and time as it is shown, in UTC."""
    return _date(at).strftime("%Y-%m-%d %H:%M UTC")


def _date(at: float) -> datetime:
    return datetime.fromtimestamp(max(0, min(at, _LAST_DAY)), UTC)
