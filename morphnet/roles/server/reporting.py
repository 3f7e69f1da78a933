"""
What a webhook is told: everything once, in the store until it has been taken, whatever ends in between.

What is sent again, because the answer did not come or the process ended, has the same Idempotency-Key and the same
content. The other end takes each key once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.config.accounting import OLD
from morphnet.errors import ConfigError, HostError
from morphnet.store.base import Accounts, Post, Store

LOOK_EVERY = 1.0  # seconds between looks whether there is something to tell
FIRST_REST, LONGEST_REST = 1.0, 300.0  # seconds until what did not answer is asked again
SET_ASIDE = 3600.0  # and for what the other end does not want, while the others go on
MOST_ASIDE = 2000  # beyond that all wait: more than there are users of the original that are counted by name
_UNWANTED = (400, 409, 410, 413, 415, 422)  # about this one report: RFC 9110; all others are about who sends, or where
PATHS = {"server": "/server", "add": "/client/add", "subtract": "/client/subtract", "traffic": "/traffic"}


def read_token(path: str) -> str:
    """
    What is sent as Authorization: the first line of that file.

    :raises ConfigError: there is none.
    """
    if not path:
        return ""
    try:
        with open(path, "rb") as file:
            token = file.read(4096).decode("ascii").strip()
    except OSError as trouble:
        raise ConfigError(f"webhook_token_file {path}: {trouble.strerror}") from None
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable():
        raise ConfigError(f"webhook_token_file {path} must hold one line of ASCII")
    return token


class Posts(Protocol):
    """Who brings it there."""

    def post(self, path: str, body: bytes, key: str) -> Awaitable[int]:
        """
        Send it; the status of the answer.

        :raises HostError: there was no answer.
        """
        ...


class Reporter:
    """
    :param server: what is told of this server.
    :param now: seconds, never back.
    """

    _log = Logger()

    def __init__(self, store: Store, door: Posts, server: Mapping[str, str], now: Callable[[], float]) -> None:
        self._store, self._door, self._server, self._now = store, door, server, now
        self._busy: Deferred[None] | None = None
        self._aside: dict[int, float] = {}  # number of what was refused -> when it is tried again
        self._rest, self._rested_at = FIRST_REST, float("-inf")  # when the line is used again
        self._failing_since: float | None = None
        self._trouble = ""
        self._waiting, self._stirred = 0, True
        self._counts = Counter[str]()

    def stir(self) -> None:
        """There is more to tell."""
        self._stirred = True

    def look(self) -> None:
        """Tell what there is to tell, if it may be tried now."""
        if self._busy is None and (self._stirred or self._waiting) and self._now() >= self._rested_at:
            self._stirred = False
            self._busy = Deferred.fromCoroutine(self._tell_all())
            self._busy.addBoth(self._idle)

    def _idle(self, result: object) -> None:
        self._busy = None
        if isinstance(result, Failure) and result.check(CancelledError, HostError) is None:
            self._log.failure("reports to the webhook stand still", result)

    def stop(self) -> None:
        """What was not taken comes with the next start."""
        if self._busy is not None:
            self._busy.cancel()

    async def _tell_all(self) -> None:
        while True:
            now = self._now()
            self._aside = {number: until for number, until in self._aside.items() if until > now}
            aside = tuple(self._aside)

            def look(book: Accounts, aside: tuple[int, ...] = aside) -> tuple[Post | None, int]:
                return book.next_post(aside), book.waiting()

            post, self._waiting = await self._store.account(look)
            if post is None or not await self._tell(post):
                return

    async def _tell(self, post: Post) -> bool:
        """Whether to go on with the next one."""
        try:
            status = await self._door.post(PATHS[post.kind], self.body(post), post.key)
        except HostError as trouble:
            return self._later(str(trouble))
        if 200 <= status < 300:
            await self._store.account(lambda book: book.taken(post.number))
            self._counts["webhook_taken"] += 1
            self._waiting -= 1
            self._rest, self._failing_since, self._trouble = FIRST_REST, None, ""
            return True
        if status not in _UNWANTED:
            return self._later(f"it answers {status}")
        if len(self._aside) >= MOST_ASIDE:
            return self._later(f"it answers {status}, and to {MOST_ASIDE} others too")
        self._counts["webhook_refused"] += 1
        self._aside[post.number] = self._now() + SET_ASIDE
        self._log.error(
            "the webhook answers {status} to {path}: that waits for an hour", status=status, path=PATHS[post.kind]
        )
        return True

    def _later(self, trouble: str) -> bool:
        self._counts["webhook_failed"] += 1
        self._rested_at, self._rest = self._now() + self._rest, min(LONGEST_REST, 2 * self._rest)
        if self._failing_since is None:
            self._failing_since = self._now()
        self._trouble = trouble
        return False

    def body(self, post: Post) -> bytes:
        """As the original's API has it, and the bytes from a user besides."""
        told: Mapping[str, object]
        if post.kind == "server":
            told = self._server
        elif post.kind == "traffic":
            told = {"id": post.name.removeprefix(OLD), "traffic": post.sent, "up": post.received}
        else:
            told = {"name": self._server["name"]}
        return json.dumps(told).encode()

    # -- what ops sees -----------------------------------------------------------------------------------------------

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        return {**self._counts, "webhook_waiting": self._waiting}

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        found = []
        if self._failing_since is not None:
            minutes = int(self._now() - self._failing_since) // 60
            since, waiting = f"for {minutes} min" if minutes else "just now", self._waiting
            found.append(
                f"the webhook has taken nothing {since} ({self._trouble}): {waiting} reports wait in the store"
            )
        if count := len(self._aside):
            found.append(f"the webhook does not want {count} reports: they are set aside, and tried again each hour")
        return tuple(found)
