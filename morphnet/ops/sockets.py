"""The unix sockets at which a running process can be reached."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from morphnet.errors import ConfigError, HostError
from morphnet.ops.rundir import is_too_long

_NOBODY = (errno.ECONNREFUSED, errno.ENOENT)  # a socket that nothing serves, or none at all


def answers(path: Path) -> bool:
    """Whether a process serves the unix socket at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        code = probe.connect_ex(os.fspath(path))
    return code not in _NOBODY


def make_way(path: Path, answers: Callable[[Path], bool] = answers) -> None:
    """
    Make the directory of a unix socket (0700), and remove the socket that a killed process left behind.

    :raises ConfigError: the path is too long for a socket.
    :raises HostError: a living process serves it, something else is there, or the directory cannot be made.
    """
    if is_too_long(path):
        raise ConfigError(f"{path} is too long for a socket: choose a shorter run_dir")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_socket():
            if answers(path):
                raise HostError(f"another process already serves {path}: stop it, or choose another run_dir")
            path.unlink()
        elif path.exists():
            raise HostError(f"{path} is in the way and not a socket: remove it, or choose another run_dir")
    except OSError as error:
        raise HostError(f"cannot make a socket at {path}: {error.strerror}") from error


def listen_private(reactor: Any, path: Path, factory: IProtocolFactory) -> IListeningPort:
    """
    Listen on a unix socket that only its owner may use.

    :param reactor: IReactorUNIX.
    :raises ConfigError: see `make_way`; likewise HostError.
    """
    make_way(path)
    before = os.umask(0o177)  # Twisted's own `mode` is set only after bind(): for a moment all could connect
    try:
        port: IListeningPort = reactor.listenUNIX(os.fspath(path), factory, mode=0o600)
    except CannotListenError as error:
        raise HostError(f"cannot listen on {path}: {error.socketError}") from error
    finally:
        os.umask(before)
    return port
