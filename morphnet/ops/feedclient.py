"""Asking a running process over its feed; standard library only, and blocking."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from morphnet.errors import ConfigError, HostError
from morphnet.status import (
    Decision,
    GuestStatus,
    NetcheckStatus,
    NodeStatus,
    PathStatus,
    PeerStatus,
    Pong,
    RelayDistance,
    RelayStatus,
    SessionStatus,
    SocketStatus,
)

PATIENCE = 5.0  # seconds to wait for an answer
OTHER_VERSION = "the running process is of another version: restart it"


def ask(path: Path, request: Mapping[str, Any], timeout: float = PATIENCE) -> dict[str, Any]:
    """
    One request, one answer.

    :param path: of the feed's socket.
    :param timeout: seconds.
    :raises HostError: nothing runs there, it may not be asked, or it did not answer in time.
    :raises ConfigError: the process refused; the message is its sentence.
    """
    for answer in follow(path, request, timeout):
        return answer
    raise HostError(f"the process at {path} closed without an answer")


def follow(path: Path, request: Mapping[str, Any], timeout: float | None = None) -> Iterator[dict[str, Any]]:
    """
    One request, many answers: until the process ends, or the iterator is closed.

    :param timeout: most seconds between two answers; None for no limit.
    :raises HostError: and ConfigError, as `ask`.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(os.fspath(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            connection.settimeout(timeout)
            with connection.makefile("rb") as lines:
                for line in lines:
                    yield _answer(line)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            raise HostError(f"no morphnet is running here (nothing answers at {path})") from None
        except PermissionError:
            raise HostError(f"{path} may only be used by root or the owner of the process") from None
        except TimeoutError:
            raise HostError(f"the process at {path} does not answer") from None
        except OSError as error:
            raise HostError(f"cannot ask at {path}: {error.strerror or error}") from None


def _answer(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError:
        raise HostError("the process was cut off in the middle of an answer") from None
    if not isinstance(answer, dict):
        raise HostError("the process answered with something that is no answer")
    if "error" in answer:
        raise ConfigError(str(answer["error"]))
    return answer


def node_status(answer: Mapping[str, Any]) -> NodeStatus:
    """
    The NodeStatus that an answer to "status" or "watch" stands for: the inverse of `status.as_json`.

    :raises HostError: the process is of another version.
    """
    try:
        sessions = tuple(_session_status(session) for session in answer["sessions"])
        more = {
            "offloads": tuple(answer["offloads"]),
            "listening": tuple(answer["listening"]),
            "peers": tuple(_peer_status(peer) for peer in answer["peers"]),
            "relays": tuple(RelayStatus(**relay) for relay in answer["relays"]),
            "guests": tuple(GuestStatus(**guest) for guest in answer["guests"]),
            "warnings": tuple(str(warning) for warning in answer["warnings"]),
        }
        return NodeStatus(**{**answer, **more, "sessions": sessions})
    except (KeyError, TypeError):
        raise HostError(OTHER_VERSION) from None


def pong(answer: Mapping[str, Any]) -> Pong:
    """
    The Pong that an answer to "ping" stands for.

    :raises HostError: the process is of another version.
    """
    try:
        return Pong(**{**answer, "inner": tuple(answer["inner"])})
    except (KeyError, TypeError):
        raise HostError(OTHER_VERSION) from None


def netcheck_status(answer: Mapping[str, Any]) -> NetcheckStatus:
    """
    The NetcheckStatus that an answer to "netcheck" stands for.

    :raises HostError: the process is of another version.
    """
    try:
        more = {
            "sockets": tuple(SocketStatus(**each) for each in answer["sockets"]),
            "relays": tuple(RelayDistance(**each) for each in answer["relays"]),
            "mapped": tuple(answer["mapped"]),
        }
        return NetcheckStatus(**{**answer, **more})
    except (KeyError, TypeError):
        raise HostError(OTHER_VERSION) from None


def _peer_status(peer: Mapping[str, Any]) -> PeerStatus:
    decisions = tuple(Decision(**each) for each in peer["decisions"])
    return PeerStatus(**{**peer, "inner": tuple(peer["inner"]), "words": tuple(peer["words"]), "decisions": decisions})


def _session_status(session: Mapping[str, Any]) -> SessionStatus:
    paths = tuple(PathStatus(**path) for path in session["paths"])
    return SessionStatus(**{**session, "inner": tuple(session["inner"]), "paths": paths})
