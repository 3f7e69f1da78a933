"""An upload server without a socket: what comes and goes on its connections, as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from twisted.internet.defer import execute
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from morphnet.net.http import HttpFactory
from morphnet.roles.upload.callers import Callers
from morphnet.roles.upload.desk import Desk, Rules
from morphnet.roles.upload.secrets import Keys
from morphnet.roles.upload.shelf import Shelf
from morphnet.store.base import Uploads
from morphnet.store.memory_uploads import MemoryUploads
from morphnet.store.vault import Vault
from morphnet.wire.messages.upload.drafts import ANY, Appends
from morphnet.wire.messages.upload.slots import mac_bearer, mac_v1, mac_v2

SECRET = b"secret string"
TOKEN = b"t" * 32
NOW = 1_700_000_000.0


@dataclass(frozen=True)
class Answer:
    """One that came, interim ones too."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class _Transport(StringTransport):
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class Line:
    """One connection."""

    def __init__(self, service: Service) -> None:
        self.transport = _Transport()
        self._channel = service.factory.buildProtocol(None)
        self._channel.makeConnection(self.transport)
        self._read = 0

    @property
    def aborted(self) -> bool:
        """Whether the server has ended it without a word."""
        return self.transport.aborted

    def send(self, data: bytes) -> None:
        """Bytes of the client."""
        self._channel.dataReceived(data)

    def takes_no_more(self) -> None:
        """There is no room for what is written after the next thing."""
        write = self.transport.write

        def full(data: bytes) -> None:
            write(data)
            self._channel.pauseProducing()

        self.transport.write = full  # type: ignore[method-assign]

    def goes_on(self) -> None:
        """There is room again."""
        self._channel.resumeProducing()

    def begin(self, verb: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        """A request; the length of its body is told unless `headers` do it."""
        told = {"Host": "x", "Content-Length": str(len(body)), **headers}
        lines = [f"{verb} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def cut(self) -> None:
        """The network takes it."""
        self._channel.connectionLost(Failure(ConnectionLost()))

    def answers(self, *, head: bool = False) -> list[Answer]:
        """Those that came since the last time."""
        found, data = [], self.transport.value()[self._read :]
        while data:
            top, _, data = data.partition(b"\r\n\r\n")
            first, *lines = top.decode().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            length = 0 if head else int(headers.get("content-length", "0"))
            found.append(Answer(int(first.split(" ")[1]), headers, data[:length]))
            data = data[length:]
        self._read = len(self.transport.value())
        return found


class Service:
    """A server, with all that is known of its uploads, and files in a directory."""

    def __init__(
        self,
        directory: str,
        *,
        max_size: int = 1000,
        quota: int = 0,
        callers: Callers | None = None,
        keeps: int = 0,
        appends: Appends = ANY,
    ) -> None:
        self.clock, self.now = Clock(), NOW
        self.uploads = MemoryUploads()
        known, self.vault = self.stores(Path(directory))
        self.shelf = Shelf(known, self.vault, execute, lambda: self.now)
        rules = Rules("/up/", max_size, 3600, quota, keeps, appends)
        self.desk = Desk(rules, self.shelf, Keys((SECRET,), {"bob": TOKEN}).of, callers)
        self.factory = HttpFactory(self.desk.answer, self.clock, 60.0)

    def stores(self, directory: Path) -> tuple[Uploads, Vault]:
        """What is known, and the bytes."""
        return self.uploads, Vault(directory)

    def ask(self, verb: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """One request on a connection of its own: its final answer."""
        line = Line(self)
        line.begin(verb, target, headers or {}, body)
        self.clock.advance(3.0)
        self.clock.advance(0)
        return line.answers(head=verb == "HEAD")[-1]

    def cut_put(self, target: str, headers: Mapping[str, str], size: int, body: bytes, verb: str = "PUT") -> Line:
        """A request whose connection is lost after so much of its body."""
        line = Line(self)
        line.begin(verb, target, {**headers, "Content-Length": str(size)}, body)
        line.cut()
        return line

    def begun_put(self, target: str, size: int, body: bytes) -> Line:
        """A PUT of so many bytes that goes on."""
        line = Line(self)
        line.begin("PUT", target, {"Content-Length": str(size)}, body)
        return line

    def stored(self, path: str) -> bytes | None:
        """A file that has appeared."""
        file = self.vault.open(path)
        if file is None:
            return None
        with file:
            return file.read()


def slot(path: str, size: int) -> str:
    """Where a file of that size may be put, as Prosody says it (v1)."""
    return f"/up/{path}?v={mac_v1(SECRET, path, size)}"


def slot2(path: str, size: int, kind: str) -> str:
    """The same with a type (v2)."""
    return f"/up/{path}?v2={mac_v2(SECRET, path, size, kind)}"


def bearer(path: str, size: int, user: str, until: int) -> str:
    """The same as a module of hmac-file-server says it, with its token in the address alone."""
    mac = mac_bearer(SECRET, user, path.rpartition("/")[2], size, until - 86400, until, "network_resilient")
    return f"/up/{path}?token={quote(mac)}&user={user}&expiry={until}&session_id=1f&network_resilience=true"
