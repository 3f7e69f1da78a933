"""Asking a running process over its feed; standard library only, and blocking."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from morphnet.errors import ConfigError, HostError
from morphnet.ops.rundir import is_too_long
from morphnet.status import Happening, NetcheckStatus, NodeStatus, PeerStatus, Pong, from_json
from morphnet.text import printable

PATIENCE = 5.0  # seconds to wait for an answer
LONGEST_ANSWER = 8 << 20  # bytes; a relay with 20,000 guests says a third of it
OTHER_VERSION = "the running process is of another version: restart it"
_CHUNK = 1 << 16
_LONGEST_ERROR = 500  # characters

T = TypeVar("T")


class Nobody(HostError):
    """No morphnet is running there."""


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

    Whoever answers may be another user, and may mean no good: it gets neither more time nor more memory than this.

    :param timeout: most seconds for the whole of each answer; None for no limit.
    :raises HostError: and ConfigError, as `ask`; Nobody where nothing runs.
    """
    nobody = f"no morphnet is running here (nothing answers at {path})"
    if is_too_long(path):
        raise Nobody(nobody)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(os.fspath(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            for line in _lines(connection, timeout):
                yield _answer(line)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            raise Nobody(nobody) from None
        except PermissionError:
            raise HostError(f"{path} may only be used by root or the owner of the process") from None
        except TimeoutError:
            raise HostError(f"the process at {path} does not answer") from None
        except OSError as error:
            raise HostError(f"cannot ask at {path}: {error.strerror or error}") from None


class Stream(Protocol):
    """What is used of a connected socket."""

    def settimeout(self, value: float | None, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...


def _lines(connection: Stream, timeout: float | None, now: Callable[[], float] = time.monotonic) -> Iterator[bytes]:
    """
    Line after line, until the other side closes.

    :param now: seconds.
    :raises TimeoutError: one was not there in time, however it trickled.
    :raises HostError: one is too long.
    """
    held = bytearray()
    ends_at = None if timeout is None else now() + timeout
    while True:
        searched = len(held)
        left = None if ends_at is None else ends_at - now()
        if left is not None and left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        chunk = connection.recv(_CHUNK)
        held += chunk
        while (end := held.find(b"\n", searched)) >= 0:
            line, searched = bytes(held[:end]), 0
            del held[: end + 1]
            yield line
            ends_at = None if timeout is None else now() + timeout
        if len(held) > LONGEST_ANSWER:
            raise HostError(f"the process answers with more than {LONGEST_ANSWER >> 20} MiB, which is no answer")
        if not chunk:
            if held:
                raise HostError("the process was cut off in the middle of an answer")
            return


def _answer(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        raise HostError("the process answered with something that is no answer") from None
    if not isinstance(answer, dict):
        raise HostError("the process answered with something that is no answer")
    if "error" in answer:
        raise ConfigError(printable(str(answer["error"])[:_LONGEST_ERROR]))
    return answer


def node_status(answer: Mapping[str, Any]) -> NodeStatus:
    """
    The NodeStatus that an answer to "status" or "watch" stands for.

    :raises HostError: the process is of another version.
    """
    return _picture(NodeStatus, answer)


def pong(answer: Mapping[str, Any]) -> Pong:
    """
    The Pong that an answer to "ping" stands for.

    :raises HostError: the process is of another version.
    """
    return _picture(Pong, answer)


def peer_status(answer: Mapping[str, Any]) -> PeerStatus:
    """
    The PeerStatus that an answer to "why" stands for.

    :raises HostError: the process is of another version.
    """
    return _picture(PeerStatus, answer)


def netcheck_status(answer: Mapping[str, Any]) -> NetcheckStatus:
    """
    The NetcheckStatus that an answer to "netcheck" stands for.

    :raises HostError: the process is of another version.
    """
    return _picture(NetcheckStatus, answer)


def happening(answer: Any) -> Happening:
    """
    The Happening that a line of an answer to "happenings" stands for.

    :raises HostError: the process is of another version.
    """
    return _picture(Happening, answer)


def listed(answer: Mapping[str, Any], name: str) -> list[Any]:
    """
    The list of that name in an answer.

    :raises HostError: the process is of another version.
    """
    found = answer.get(name)
    if not isinstance(found, list):
        raise HostError(OTHER_VERSION)
    return found


def _picture(cls: type[T], answer: Mapping[str, Any]) -> T:
    try:
        return from_json(cls, answer)
    except (ValueError, RecursionError):
        raise HostError(OTHER_VERSION) from None
