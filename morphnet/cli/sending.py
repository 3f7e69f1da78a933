"""
Sends one file to an upload server by tus 1.0.0, from the byte on that the server has, until all of it is there.

Source: https://tus.io/protocols/resumable-upload, 1.0.0.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol
from urllib.parse import SplitResult

from morphnet.cli.rerouted import Rerouted, reach
from morphnet.errors import HostError
from morphnet.text import printable
from morphnet.wire.messages.upload import tus

BLOCK = 1 << 16  # bytes read of the file at once
SILENCE = 30.0  # seconds without a byte after which a connection is given up
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds between attempts that brought nothing
_LATER = frozenset({408, 409, 425, 429})  # and 5xx but 507: ask again for the offset


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    offset: int | None  # Upload-Offset, bytes
    text: str  # its first line


class Ask(Protocol):
    """One request. OSError or HTTPException: the connection was lost."""

    def __call__(self, verb: str, headers: Mapping[str, str], body: Iterator[bytes], length: int, /) -> Reply: ...


def over_http(url: SplitResult) -> Ask:
    """Requests to that address, on a connection for each."""

    def ask(verb: str, headers: Mapping[str, str], body: Iterator[bytes], length: int) -> Reply:
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        line = kind(url.hostname or "", url.port, timeout=SILENCE)
        line._create_connection = reach  # type: ignore[attr-defined]
        try:
            line.putrequest(verb, url.path)
            for name, value in {**headers, "Content-Length": str(length)}.items():
                line.putheader(name, value)
            line.endheaders()
            with Rerouted(line.sock):
                for block in body:
                    line.send(block)
                return _reply(line.getresponse())
        finally:
            line.close()

    return ask


def _reply(answer: http.client.HTTPResponse) -> Reply:
    offset = answer.headers.get("Upload-Offset", "")
    text = answer.read(500).decode("utf-8", "replace").partition("\n")[0]
    return Reply(answer.status, int(offset) if offset.isdecimal() else None, printable(text))


class Sending:
    """
    One file on its way.

    :param token: makes the Authorization of a request, now.
    :param shown: told how many bytes are there, or on their way; it never goes back.
    :param patience: seconds without any progress after which it gives up.
    """

    def __init__(
        self,
        ask: Ask,
        token: Callable[[], str],
        file: BinaryIO,
        size: int,
        shown: Callable[[int], None],
        patience: float,
    ) -> None:
        self._ask, self._token, self._file, self._size, self._shown = ask, token, file, size, shown
        self._patience, self._furthest, self._most = patience, 0, -1
        self.sent, self.cuts, self.went_back = 0, 0, 0  # bytes; connections lost; offsets below one told before
        self.pause: Callable[[float], None] = time.sleep
        self.now = time.monotonic

    def run(self) -> None:
        """
        Return when the server has all of it.

        :raises HostError: it refuses, or nothing went on for too long.
        """
        failures, since = 0, self.now()
        while True:
            before = self._most
            try:
                offset, why = self._step()
            except ssl.SSLCertVerificationError as wrong:
                raise HostError(f"the server's certificate is not good: {wrong.verify_message}") from None
            except (OSError, http.client.HTTPException) as lost:
                self.cuts += 1
                offset, why = self._most, f"the connection was lost: {getattr(lost, 'strerror', None) or lost}"
            if offset >= self._size:
                return
            self._most = max(self._most, offset)
            if self._most > before:
                failures, since = 0, self.now()
            if self.now() - since >= self._patience:
                raise HostError(f"nothing went on for {self._patience:.0f} seconds: {why}; run it again to go on")
            self.pause(PAUSES[min(failures, len(PAUSES) - 1)])
            failures += 1

    def _step(self) -> tuple[int, str]:
        """Ask how far it is, and send the rest: bytes that are there for good, and what is wrong."""
        reply = self._said("HEAD", {})
        if reply.status in (404, 410):
            reply = self._said("POST", {"Upload-Length": str(self._size)})
        if reply.status in (200, 201) and reply.offset is not None and reply.offset < self._size:
            at = reply.offset
            self.went_back += at < self._most
            self._show(at)
            self._most = max(self._most, at)
            headers = {"Upload-Offset": str(at), "Content-Type": tus.OCTETS}
            reply = self._said("PATCH", headers, self._blocks(at), self._size - at)
        if reply.status in (200, 201, 204) and reply.offset is not None:
            self._show(reply.offset)
            return reply.offset, "the server has a part only"
        if reply.status in _LATER or (reply.status >= 500 and reply.status != 507):
            return self._most, f"the server says {reply.status} {reply.text}".rstrip()
        raise HostError(f"the server refuses: {reply.status} {reply.text}".rstrip())

    def _said(self, verb: str, headers: dict[str, str], body: Iterator[bytes] | None = None, length: int = 0) -> Reply:
        return self._ask(
            verb, {"Tus-Resumable": tus.VERSION, "Authorization": self._token(), **headers}, body or iter(()), length
        )

    def _blocks(self, at: int) -> Iterator[bytes]:
        self._file.seek(at)
        while at < self._size:
            block = self._file.read(min(BLOCK, self._size - at))
            if not block:
                raise HostError("the file became shorter while it was sent")
            yield block
            at += len(block)
            self.sent += len(block)
            self._show(at)

    def _show(self, at: int) -> None:
        self._furthest = max(self._furthest, at)
        self._shown(self._furthest)
