"""Who may register: homes that were invited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.logger import Logger

from morphnet.errors import Away, ConfigError, HostError, Refused
from morphnet.store.homes import Homes, HomesLedger, hidden
from morphnet.wire.messages.home.calls import from_text

KEY = "coordinator.key"  # its name in state_dir


def read_key(state_dir: Path) -> X25519PrivateKey:
    """
    What the coordinator is known by.

    :raises ConfigError: it was not made yet.
    """
    try:
        return X25519PrivateKey.from_private_bytes(from_text((state_dir / KEY).read_text().strip()))
    except (OSError, ValueError):
        raise ConfigError(f"{state_dir / KEY} is missing or damaged: run `morphnet coordinator init`") from None


class _Trouble:
    """What is wrong with our database: told once, until it is right again."""

    _log = Logger()

    def __init__(self) -> None:
        self._told = ""

    @contextmanager
    def told(self) -> Iterator[None]:
        """:raises Away: it can neither be read nor written."""
        try:
            yield
        except HostError as trouble:
            if str(trouble) != self._told:
                self._log.error("{sentence}", sentence=str(trouble))
            self._told = str(trouble)
            raise Away(str(trouble)) from trouble
        self._told = ""


class Invited:
    """
    A Gatekeeper with a store.

    :param wall: Unix seconds.
    :param copy: what this coordinator remembers of a store that may be away.
    :param open_to_all: nobody needs an invitation.
    """

    def __init__(
        self, homes: Homes, wall: Callable[[], float], *, open_to_all: bool, copy: HomesLedger | None = None
    ) -> None:
        self._homes, self._wall, self._open, self._copy = homes, wall, open_to_all, copy
        self._trouble = _Trouble()

    async def admit(self, home: str, invite: str) -> None:
        """
        See Gatekeeper. Who is known to the copy is let in while the store is away.

        :raises Refused: it was not invited.
        :raises Away: whether it was invited cannot be known.
        """
        if self._open:
            return
        now = int(self._wall())
        try:
            with self._trouble.told():
                good = await self._homes.is_known(home)
                good = good or (bool(invite) and await self._homes.take(home, hidden(invite), now))
        except Away:
            with self._trouble.told():
                if self._copy is None or not self._copy.is_known(home):
                    raise
            return
        if self._copy is not None:
            with suppress(Away), self._trouble.told():
                self._copy.know(home, now, copied=True) if good else self._copy.lose_copy(home)
        if not good:
            raise Refused("this home is not invited here: `morphnet coordinator invite` prints a line for it")


class Outbox:
    """What this coordinator's ledger holds for all: invitations made here, homes that were known or forgotten here."""

    def __init__(self, ledger: HomesLedger, homes: Homes, forget: Callable[[str], Awaitable[None]]) -> None:
        """:param forget: has all coordinators let go of a home; Away when they cannot be told."""
        self._ledger, self._homes, self._forget, self._busy = ledger, homes, forget, False
        self._trouble = _Trouble()

    async def empty(self) -> None:
        """Tell the store; what it does not take waits."""
        if self._busy:
            return
        self._busy = True
        try:
            with self._trouble.told():
                await self._empty()
        except Away:
            return  # another time
        finally:
            self._busy = False

    async def _empty(self) -> None:
        for home, at in self._ledger.forgotten():
            await self._homes.forget(home, at)
            await self._forget(home)
            self._ledger.copied((), (), [home])
        for home, since in self._ledger.not_copied():
            await self._homes.know(home, since)
            self._ledger.copied([home], (), ())
        for token, expires, many, made in self._ledger.invitations():
            await self._homes.invite(token, expires, many, made)
            self._ledger.copied((), [token], ())
