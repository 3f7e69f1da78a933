"""Changes a running wire from outside its process."""

from __future__ import annotations

import json
import socket
from typing import Any, Literal

from morphnet.errors import HostError

PATIENCE = 5.0  # seconds for one order; a wire answers within a millisecond or is dead


class WireClient:
    """
    One wire of the wire process that listens on `socket_path`.

    Every method returns when the change is in force.

    :raises HostError: from every method: the wire process is gone or refused.
    """

    def __init__(self, socket_path: str, name: str) -> None:
        self._socket_path, self.name = socket_path, name

    def set(self, there: dict[str, Any] | None = None, back: dict[str, Any] | None = None) -> None:
        """Change parameters by name, per direction (see `shape.DEFAULTS`); the others stay."""
        order(self._socket_path, {"set": {"wire": self.name, "there": there or {}, "back": back or {}}})

    def both(self, **params: Any) -> None:
        """Change the same parameters in both directions."""
        self.set(params, params)

    def black_hole(self, direction: Literal["there", "back"] | None = None) -> None:
        """Swallow everything, in one direction or both, with the carrier still up."""
        swallow = {"black_hole": True}
        self.set(swallow if direction != "back" else None, swallow if direction != "there" else None)

    def heal(self) -> None:
        """End the black hole; the other parameters stay."""
        self.both(black_hole=False)

    def unplug(self) -> None:
        """Pull the cable: both ends lose their carrier."""
        order(self._socket_path, {"carrier": {"wire": self.name, "up": False}})

    def plug(self) -> None:
        """Put the cable back."""
        order(self._socket_path, {"carrier": {"wire": self.name, "up": True}})

    def counters(self) -> dict[str, Any]:
        """`plugged`, `there` and `back` (see `shape.Counters`), and `params` in force."""
        counters: dict[str, Any] = order(self._socket_path, {"counters": True})["wires"][self.name]
        return counters

    def load(self) -> dict[str, float]:
        """How busy the process of all wires is: see `wire.Loop.load`."""
        load: dict[str, float] = order(self._socket_path, {"counters": True})["load"]
        return load

    def capture(self, path: str | None) -> None:
        """Write delivered frames to a pcap file; None ends it. Reading counters writes it out so far."""
        order(self._socket_path, {"capture": {"wire": self.name, "path": path}})

    def remove(self) -> None:
        """Take the wire and its two devices away."""
        order(self._socket_path, {"remove": {"wire": self.name}})


def add_wire(socket_path: str, spec: dict[str, Any]) -> WireClient:
    """
    Make one more wire in a running wire process; `spec` as on its stdin.

    :raises HostError: the wire process is gone or refused.
    """
    order(socket_path, {"add": spec})
    return WireClient(socket_path, str(spec["name"]))


def order(socket_path: str, request: dict[str, Any]) -> dict[str, Any]:
    """
    Send one order and wait for its answer.

    :raises HostError: the wire process is gone or refused.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(socket_path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
    except OSError as error:
        raise HostError(f"the wire at {socket_path} does not answer: {error}") from error
    if not line:
        raise HostError(f"the wire at {socket_path} closed the connection")
    answer: dict[str, Any] = json.loads(line)
    if not answer["ok"]:
        raise HostError(f"the wire refused: {answer['error']}")
    return answer
