"""What a make of WebRTC is to us, and which there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

MAKES = {"wrtc": "wrtc", "aiortc": "aiortc"}  # and the module that is there where it is installed; the best one first
LABEL = "morphnet"  # of the one data channel
HIGH, LOW = 1 << 20, 256 << 10  # bytes that may wait in a data channel, and so few of them that there may be more again


class Heard(Protocol):
    """Whoever a connection belongs to."""

    def opened(self) -> None:
        """The data channel is open."""
        ...

    def message(self, data: bytes) -> None:
        """The browser said something."""
        ...

    def drained(self) -> None:
        """So little waits that more may be said."""
        ...

    def closed(self) -> None:
        """It is over; told once or more."""
        ...


class Make(Protocol):
    """One connection to a browser and its data channel, in one of the makes."""

    async def answer(self, offer: str) -> str:
        """The answer to an offer, both as SDP, with all candidates; raises what it likes of one that is none."""
        ...

    @property
    def waiting(self) -> int:
        """Bytes that were said and are not on their way."""
        ...

    def send(self, message: bytes) -> None:
        """Say something; nothing happens when it is gone."""
        ...

    async def close(self) -> None:
        """End it."""
        ...


def chosen(wanted: str) -> str | None:
    """
    The make that is used here, or None if it is not installed.

    :param wanted: its name, or "auto".
    """
    for name, module in MAKES.items():
        if wanted in ("auto", name) and find_spec(module) is not None:
            return name
    return None


def load(name: str) -> tuple[Callable[[Heard, Sequence[str]], Make], Callable[[], Any]]:
    """What makes a connection, and the event loop that it runs on."""
    module = import_module(f"morphnet.net.rtc_{name}")
    return module.Connection, module.make_loop
