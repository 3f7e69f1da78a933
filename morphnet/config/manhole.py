"""The settings of the manhole, alike for every process."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from morphnet.config import checks


@dataclass(frozen=True, slots=True)
class ManholeConfig:
    """The SSH door into the running process."""

    enabled: bool = field(default=True, metadata={"help": "open the manhole"})
    listen: str = field(
        default="",
        metadata={
            "check": checks.listen,
            "help": "'' for a unix socket in run_dir alone, or 127.0.0.1:PORT for TCP besides",
        },
    )
    authorized_keys: Path = field(
        default=Path("/etc/morphnet/authorized_keys"), metadata={"help": "OpenSSH public keys that may enter"}
    )

    def address(self) -> tuple[str, int] | None:
        """
        Address and TCP port of `listen`; None stands for the unix socket.

        :raises ConfigError: it is not ADDRESS:PORT, or it names every network at once.
        """
        return checks.read_address(self.listen)
