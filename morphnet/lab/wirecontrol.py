"""Orders to a running wire: one JSON object per line on a unix socket, one line back for each."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from typing import Any, Protocol

from morphnet.errors import ConfigError, HostError

_LONGEST = 65_536  # bytes of one order


class WireOrders(Protocol):
    """One wire, as an order changes it."""

    def set(self, there: dict[str, Any], back: dict[str, Any]) -> None:
        """Change the parameters of the two directions."""

    def plug(self, up: bool) -> None:
        """Give it a carrier, or take it away."""

    def counters(self) -> dict[str, Any]:
        """What it has carried and dropped."""

    def capture(self, path: str | None) -> None:
        """Begin or end a capture."""

    def flush(self) -> None:
        """Write out what was captured."""


class Wires(Protocol):
    """All the wires and the loop that runs them."""

    @property
    def wires(self) -> dict[str, Any]:
        """The wires by name, each one a `WireOrders`."""

    def add(self, spec: dict[str, Any]) -> None:
        """Make one more wire."""

    def load(self) -> dict[str, float]:
        """How busy the process of the wires is."""

    def remove(self, name: str) -> None:
        """Take one away."""

    def watch(self, fd: int, reader: Callable[[], None]) -> None:
        """Call `reader` when `fd` is readable."""

    def forget(self, fd: int) -> None:
        """Stop watching."""


class Control:
    """
    The unix socket of the wire process.

    Orders: {"set": {"wire", "there": {..}, "back": {..}}}, {"carrier": {"wire", "up"}},
    {"counters": true}, {"capture": {"wire", "path" or null}}, {"add": specification},
    {"remove": {"wire"}}. The answer has `ok`, and `error` when that is false.
    """

    def __init__(self, path: str, wires: Wires) -> None:
        self._wires, self._path = wires, path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        before = os.umask(0o177)
        try:
            self._socket.bind(path)
        except OSError as error:
            raise HostError(f"cannot listen on {path}: {error.strerror}") from error
        finally:
            os.umask(before)
        self._socket.listen(16)
        wires.watch(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Take the socket away."""
        self._wires.forget(self._socket.fileno())
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    def obey(self, line: bytes) -> dict[str, Any]:
        """Carry out one order; the answer says whether it worked."""
        try:
            order = json.loads(line)
            ((verb, details),) = order.items()
            return {"ok": True, **self._do(verb, details)}
        except (ConfigError, HostError) as error:
            return {"ok": False, "error": str(error)}
        except OSError as error:
            return {"ok": False, "error": f"the system refused: {error}"}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {"ok": False, "error": f"not an order: {type(error).__name__} {error}"}

    def _do(self, verb: str, details: Any) -> dict[str, Any]:
        for wire in self._wires.wires.values():
            wire.flush()
        if verb == "counters":
            wires = {name: wire.counters() for name, wire in self._wires.wires.items()}
            return {"wires": wires, "load": self._wires.load()}
        if verb == "add":
            self._wires.add(details)
            return {}
        wire = self._named(details["wire"])
        if verb == "set":
            wire.set(details.get("there", {}), details.get("back", {}))
        elif verb == "carrier":
            wire.plug(bool(details["up"]))
        elif verb == "capture":
            wire.capture(details["path"])
        elif verb == "remove":
            self._wires.remove(details["wire"])
        else:
            raise ConfigError(f"a wire has no order {verb!r}")
        return {}

    def _named(self, name: str) -> WireOrders:
        wire: WireOrders | None = self._wires.wires.get(name)
        if wire is None:
            raise ConfigError(f"there is no wire {name!r}; there are {', '.join(self._wires.wires)}")
        return wire

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            connection, _ = self._socket.accept()
            connection.setblocking(False)
            self._wires.watch(connection.fileno(), self._reader(connection))

    def _reader(self, connection: socket.socket) -> Callable[[], None]:
        pending = bytearray()

        def read() -> None:
            try:
                some = connection.recv(_LONGEST)
                pending.extend(some)
                while b"\n" in pending:
                    line, _, rest = bytes(pending).partition(b"\n")
                    pending[:] = rest
                    connection.sendall(json.dumps(self.obey(line)).encode() + b"\n")
            except BlockingIOError:
                some = b""  # it sends orders and does not read the answers
            except OSError:
                some = b""
            if not some or len(pending) > _LONGEST:
                self._wires.forget(connection.fileno())
                connection.close()

        return read
