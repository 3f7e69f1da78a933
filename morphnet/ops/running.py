"""Which process serves a unix socket, as the kernel says it; and a hold on that process, to end it."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
from pathlib import Path

from morphnet.errors import HostError
from morphnet.ops.rundir import is_too_long

_CREDENTIALS = struct.Struct("3i")  # process, user, group; unix(7)


def server_of(path: Path) -> int:
    """
    The number of the process that listens there, 0 for none. It need not answer: one that hangs is found as well.

    :raises HostError: that is not for us to know.
    """
    if is_too_long(path):
        return 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return 0
        except PermissionError:
            raise HostError(f"{path} may only be used by root or the owner of the process") from None
        except OSError as error:
            raise HostError(f"cannot ask at {path}: {error.strerror or error}") from None
        process: int = _CREDENTIALS.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[
            0
        ]
    if not process:
        raise HostError(f"what answers at {path} runs in another container: ask there")
    return process


def command_of(process: int) -> list[str]:
    """The words of its command line; none if there is no such process, or it may not be seen."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")[:-1]
    except OSError:
        return []


def running_programs(*programs: str) -> list[int]:
    """The processes in this network namespace that have one of these words in their command line, as far as seen."""
    here, found = os.stat("/proc/self/ns/net").st_ino, list[int]()
    for each in Path("/proc").iterdir():
        if not each.name.isdigit() or not set(programs) & set(command_of(int(each.name))):
            continue
        try:
            if (each / "ns/net").stat().st_ino == here:
                found.append(int(each.name))
        except OSError:
            continue
    return sorted(found)


class Held:
    """
    A process that is to end. Whoever gets its number after that is not mistaken for it.

    :raises HostError: there is no such process.
    """

    def __init__(self, process: int) -> None:
        self.process = process
        try:
            self._descriptor = os.pidfd_open(process)
        except OSError as error:
            raise HostError(f"process {process}: {error.strerror}") from None

    def tell(self, number: signal.Signals) -> None:
        """
        Send it a signal; nothing happens when it has ended.

        :raises HostError: it is somebody else's.
        """
        try:
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            raise HostError(f"process {self.process} is another user's: do this as root") from None

    def ended(self, within: float) -> bool:
        """Whether it has, after so many seconds at most."""
        look = select.poll()
        look.register(self._descriptor, select.POLLIN)
        return bool(look.poll(within * 1000))

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)
