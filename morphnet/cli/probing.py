"""HTTP/1.1 as little as a doctor needs: a request may be begun and left, and every answer is seen, interim ones too."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import SplitResult

_MOST = 1 << 20  # bytes of answers that are read


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer."""

    status: int
    headers: tuple[tuple[str, str], ...]  # names in lower case, as they came
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for known, value in self.headers if known == name]

    def one(self, name: str) -> str:
        """The first value, "" for none."""
        return next(iter(self.all(name)), "")


class Line(Protocol):
    """One connection, with a request on it."""

    def send(self, data: bytes) -> None:
        """More of the body. :raises OSError: the connection is over."""
        ...

    def hear(self, seconds: float) -> list[Heard]:
        """Answers up to the final one, or those that came in so many seconds."""
        ...

    @property
    def ended(self) -> bool:
        """The other side has closed it."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Call(Protocol):
    """Begins a request: its head is sent, and that much of its body. OSError: nobody is reached."""

    def __call__(self, verb: str, target: str, headers: Mapping[str, str], body: bytes = b"", /) -> Line: ...


class HttpLine:
    """See Line, on a socket."""

    def __init__(self, line: socket.socket) -> None:
        self._line, self._data, self._ended = line, b"", False

    @property
    def ended(self) -> bool:
        return self._ended

    def send(self, data: bytes) -> None:
        self._line.settimeout(10.0)
        self._line.sendall(data)

    def hear(self, seconds: float) -> list[Heard]:
        ends, heard = time.monotonic() + seconds, list[Heard]()
        while not self._ended and len(self._data) < _MOST:
            heard = answers(self._data, ended=False)
            left = ends - time.monotonic()
            if left <= 0 or (heard and heard[-1].status >= 200):
                return heard
            self._line.settimeout(left)
            try:
                more = self._line.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError:
                more = b""
            self._data += more
            self._ended = not more
        return answers(self._data, ended=True)

    def close(self) -> None:
        self._line.close()


def answers(data: bytes, *, ended: bool) -> list[Heard]:
    """
    The answers that are whole in what was read; of a HEAD the body that it tells of is none.

    :param ended: no more comes: what there is of a body is all of it.
    """
    found: list[Heard] = []
    while b"\r\n\r\n" in data:
        top, _, data = data.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        pairs = tuple((n.strip().lower(), v.strip()) for n, _, v in (each.partition(":") for each in lines))
        length = next((int(value) for name, value in pairs if name == "content-length" and value.isdigit()), 0)
        length = 0 if status < 200 else length
        if len(data) < length and not ended:
            return found
        found.append(Heard(status, pairs, data[:length]))
        data = data[length:]
    return found


def caller(url: SplitResult, timeout: float = 10.0) -> Call:
    """Calls the host of an address."""

    def call(verb: str, target: str, headers: Mapping[str, str], body: bytes = b"", /) -> Line:
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        line = socket.create_connection((host, port), timeout)
        if url.scheme == "https":
            line = ssl.create_default_context().wrap_socket(line, server_hostname=host)
        told = {"Host": url.netloc, "User-Agent": "morphnet doctor", **headers}
        head = "\r\n".join([f"{verb} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())])
        found = HttpLine(line)
        found.send(head.encode("latin-1", "replace") + b"\r\n\r\n" + body)
        return found

    return call
