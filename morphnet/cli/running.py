"""The roles whose configuration is in a directory, and which of them runs."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from morphnet.cli.layout import ALONE, SYSTEM, Place
from morphnet.config.file import load
from morphnet.config.home import CoordinatorConfig, HomeConfig
from morphnet.config.roles import ClientConfig, RelayConfig, ServerConfig
from morphnet.config.upload import UploadConfig
from morphnet.errors import ConfigError, HostError
from morphnet.ops import feedclient
from morphnet.ops.rundir import FEED
from morphnet.ops.running import command_of, server_of
from morphnet.status import NodeStatus

Config = ClientConfig | ServerConfig | RelayConfig | CoordinatorConfig | HomeConfig | UploadConfig
CONFIGS: dict[str, type[Config]] = {
    "client": ClientConfig,
    "server": ServerConfig,
    "relay": RelayConfig,
    "coordinator": CoordinatorConfig,
    "home": HomeConfig,
    "upload": UploadConfig,
}
PATIENCE = 60.0  # seconds that another command may take in the same directory


@dataclass(frozen=True, slots=True)
class Role:
    """One role of this machine."""

    name: str  # a key of CONFIGS
    place: Place
    config: Config

    @property
    def file(self) -> Path:
        """Its configuration."""
        return file_of(self.place, self.name)

    @property
    def program(self) -> str:
        """What twistd calls it, and so does systemd."""
        return f"morph-{self.name}"

    @property
    def changes_host(self) -> bool:
        """Whether it sets routes and the like, which must be undone."""
        return self.name in ("client", "server")

    @property
    def feed(self) -> Path:
        """Where it answers."""
        return self.config.run_dir / FEED

    @property
    def pid_file(self) -> Path:
        """Of a process in the background. A directory of the service's user is no place for what root writes."""
        return (
            Path(f"/run/{self.program}.pid")
            if self.place.root == SYSTEM
            else self.config.run_dir / f"{self.program}.pid"
        )

    @property
    def log(self) -> Path:
        """Likewise."""
        home = Path("/var/log") if self.place.root == SYSTEM else self.config.state_dir
        return home / f"{self.program}.log"

    def process(self) -> int:
        """
        The number of its process, 0 if it does not run.

        :raises HostError: that is not for us to know.
        """
        process = server_of(self.feed)
        if process:
            return process if self._is_of(command_of(process)) else 0
        try:
            text = self.pid_file.read_text()[:32].strip()
        except OSError:
            return 0
        named = int(text) if text.isdigit() else 0  # it may just be starting, or have lost its socket
        return named if named and self.program in command_of(named) else 0

    def _is_of(self, command: list[str]) -> bool:
        """Whether this role has that command line; who was started in another way tells it himself."""
        programs = {f"morph-{each}" for each in CONFIGS} & set(command)
        if programs:
            return self.program in programs
        try:
            return self.status().role == self.name
        except HostError:
            return True

    def status(self) -> NodeStatus:
        """
        As it tells it.

        :raises HostError: it does not.
        """
        return feedclient.node_status(feedclient.ask(self.feed, {"ask": "status"}))


def file_of(place: Place, name: str) -> Path:
    """The configuration of a role."""
    return place.root / f"{name}.toml"


def names_here(place: Place) -> list[str]:
    """
    The roles whose configuration is there.

    :raises ConfigError: there is none.
    """
    place.check_begun()
    return [name for name in CONFIGS if file_of(place, name).exists()]


def role_here(place: Place, name: str, *, lenient: bool = False) -> Role:
    """
    :param lenient: a mistake in the configuration does not matter: then everything is where it is without one.
    :raises ConfigError: it has no configuration here, or one with a mistake.
    """
    if name not in names_here(place):
        raise ConfigError(f"there is no {file_of(place, name)}: this machine is no {name}")
    try:
        return Role(name, place, load(CONFIGS[name], file_of(place, name)))
    except ConfigError:
        if not lenient:
            raise
    return Role(name, place, _without_file(place, name))


def _without_file(place: Place, name: str) -> Config:
    config: Any = CONFIGS[name]  # their fields differ
    if name in ALONE:
        found = config(run_dir=place.run_of(name), state_dir=place.state_of(name))
    else:
        run_dir = place.relay_run_dir if name == "relay" else place.run_dir
        found = config(run_dir=run_dir, state_dir=place.state_dir, pki_dir=place.pki_dir)
    return cast(Config, found)


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """
    One command at a time in a directory; nothing is left there of it.

    :raises HostError: another one has been at work for too long, or the directory is not for us.
    """
    try:
        descriptor = os.open(place.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as trouble:
        raise HostError(f"{place.root}: {trouble.strerror}") from None
    try:
        _lock(descriptor, place)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, place: Place) -> None:
    ends_at = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > ends_at:
                raise HostError(f"another `morphnet` command is still at work in {place.root}: try again") from None
        time.sleep(0.05)
