"""The Redis that the coordinators behind one name share, while it is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from morphnet.errors import Away

KEY = "morphnet:homes:key"  # what the key of all coordinators is known by, and a name for what this Redis knows
EVERYBODY = "morphnet:coordinators"  # a channel
CHANNEL = "morphnet:coordinator:"  # and the name of the one that hears it


class Exchange(Protocol):
    """Redis."""

    def ask(self, *words: object) -> Deferred[object]:
        """What it answers to a command, or Away."""
        ...

    def subscribe(self, channels: Sequence[str]) -> Deferred[None]:
        """Hear those channels from now on."""
        ...

    def close(self, reason: str) -> None:
        """It is of no use: `closed` follows, and another one is opened."""
        ...


class Shared:
    """
    What a coordinator has of it. Without it everything is refused as Away, and nothing waits.

    :param name: of this coordinator, since its start; 16 hex digits.
    :param key: what the key of the coordinators is known by; all must have the same.
    """

    _log = Logger()

    def __init__(self, name: str, key: bytes, entropy: Callable[[int], bytes]) -> None:
        self.name, self._key, self._entropy = name, key, entropy
        self.opens: Callable[[str], None] = lambda generation: None  # another one for a Redis that has forgotten all
        self.closes: Callable[[str], None] = lambda why: None
        self.told: Callable[[bytes], None] = lambda message: None
        self._exchange: Exchange | None = None
        self._why = "Redis was not reached yet"

    @property
    def here(self) -> bool:
        """Whether it is."""
        return self._exchange is not None

    def ask(self, *words: object) -> Deferred[object]:
        """A command."""
        return fail(Away(self._why)) if self._exchange is None else self._exchange.ask(*words)

    def opened(self, exchange: Exchange) -> None:
        """Its connections are there."""
        opening = Deferred.fromCoroutine(self._open(exchange))
        opening.addErrback(lambda failure: self._log.failure("Redis is of no use", failure))

    async def _open(self, exchange: Exchange) -> None:
        try:
            await exchange.subscribe([EVERYBODY, CHANNEL + self.name])
            # Drawn each time: the same coordinator may be the first one at the next Redis, too.
            await exchange.ask("SETNX", KEY, self._key + b" " + self._entropy(8).hex().encode())
            found = await exchange.ask("GET", KEY)
        except Exception as trouble:  # whatever the connection breaks with
            exchange.close(str(trouble) or type(trouble).__name__)
            return
        key, _, generation = found.partition(b" ") if isinstance(found, bytes) else (b"", b"", b"")
        if key != self._key:
            self.closed("the coordinators there have another key: copy coordinator.key from one of them")
            return
        self._exchange = exchange
        self.opens(generation.decode("ascii", "replace"))

    def closed(self, reason: str) -> None:
        """They are gone, or could not be made."""
        self._exchange, self._why = None, reason
        self.closes(reason)

    def heard(self, message: bytes) -> None:
        """A neighbour says something."""
        self.told(message)
