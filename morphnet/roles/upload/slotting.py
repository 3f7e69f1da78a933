"""Slots of our own: who may upload what, and how much, and how often."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from morphnet.store.base import Uploads
from morphnet.wire.messages.upload.requests import SlotGiven, SlotNotGiven, SlotRequest, clean_name
from morphnet.wire.messages.upload.slots import jwt

OPENS, LASTS = 300, 7 * 86400  # seconds in which an upload must begin, and may go on
EPHEMERAL = 86400  # seconds that a file is kept which is there for a moment
FOR_EVER = 1 << 40  # seconds
_KEEP = {"ephemeral": EPHEMERAL, "permanent": FOR_EVER, "profile": FOR_EVER}  # others: as long as is set
_WINDOW = 3600.0  # seconds over which slots are counted
_MOST_USERS = 10_000  # that are remembered


@dataclass(frozen=True, slots=True)
class Allowance:
    """What each user may do."""

    hosts: tuple[str, ...]  # domains whose users are served
    max_size: int  # bytes of one file
    quota: int  # bytes of all files of one user; 0: no limit
    slots_an_hour: int


@dataclass(frozen=True, slots=True)
class _Given:
    at: float  # Unix seconds
    size: int  # bytes
    path: str


class Slotting:
    """
    Gives slots.

    :param url: below which they are.
    :param secret: that is in use now.
    :param now: Unix seconds.
    """

    def __init__(
        self,
        url: str,
        allowance: Allowance,
        uploads: Uploads,
        secret: Callable[[], bytes],
        now: Callable[[], float],
        counts: Counter[str],
    ) -> None:
        self._url, self.allowance, self._uploads, self._secret, self._now = url, allowance, uploads, secret, now
        self._counts = counts
        self._given: dict[str, list[_Given]] = {}  # by user

    async def slot(self, request: SlotRequest) -> SlotGiven:
        """
        One for this file.

        :raises SlotNotGiven: with a condition and a sentence.
        """
        try:
            given = await self._slot(request)
        except SlotNotGiven:
            self._counts["slots_refused"] += 1
            raise
        self._counts["slots_given"] += 1
        return given

    async def _slot(self, request: SlotRequest) -> SlotGiven:
        allowance, now = self.allowance, self._now()
        if request.user.rpartition("@")[2] not in allowance.hosts:
            raise SlotNotGiven("forbidden", "auth", "this service is for users of another server")
        if request.size > allowance.max_size:
            reason = f"the file is too large: at most {allowance.max_size} bytes are taken"
            raise SlotNotGiven("not-acceptable", "modify", reason, max_size=allowance.max_size)
        recent = self._recent(request.user, now)
        if len(recent) >= allowance.slots_an_hour:
            again = recent[-allowance.slots_an_hour].at + _WINDOW
            reason = f"{allowance.slots_an_hour} files an hour are taken from each user: try again later"
            raise SlotNotGiven("resource-constraint", "wait", reason, again_at=again)
        slot, name = secrets.token_hex(16), clean_name(request.name)
        given = _Given(now, request.size, f"{slot}/{name}")
        self._remember(request.user, [*recent, given])  # before anything is waited for: who asks meanwhile finds it
        try:
            await self._within_quota(request, recent, now)
        except BaseException:
            self._given[request.user] = [each for each in self._given.get(request.user, ()) if each is not given]
            raise
        return self._signed(request, slot, name, now)

    def _recent(self, user: str, now: float) -> list[_Given]:
        return [each for each in self._given.get(user, ()) if now - _WINDOW < each.at <= now]

    async def _within_quota(self, request: SlotRequest, recent: Sequence[_Given], now: float) -> None:
        quota = self.allowance.quota
        if not quota:
            return
        waiting = [each for each in recent if each.at > now - OPENS]
        under_way = sum([each.size for each in waiting if await self._uploads.find(each.path) is None])
        used = await self._uploads.used(request.user)  # after them: what begins meanwhile counts twice, and not never
        if used + request.size > quota:
            left = max(quota - used, 0)
            reason = f"your files take {used} of {quota} bytes: there is room for {left} more"
            raise SlotNotGiven("resource-constraint", "cancel", reason)
        if used + under_way + request.size > quota:
            reason = "there is no room for all the files that you are sending now: try again when they have arrived"
            raise SlotNotGiven("resource-constraint", "wait", reason, again_at=now + OPENS)

    def _remember(self, user: str, given: list[_Given]) -> None:
        self._given.pop(user, None)
        self._given[user] = given  # as the last: a dict keeps its order
        while len(self._given) > _MOST_USERS:
            del self._given[next(iter(self._given))]

    def _signed(self, request: SlotRequest, slot: str, name: str, now: float) -> SlotGiven:
        claims = {
            "sub": request.user,
            "slot": slot,
            "filename": name,
            "filesize": request.size,
            "filetype": request.kind,
            "iat": int(now),
            "exp": int(now) + OPENS,
            "expires": int(now) + LASTS,
            "keep": _KEEP.get(request.purpose, 0),
        }
        where = self._url + quote(f"{slot}/{name}")
        return SlotGiven(where, where, {"Authorization": f"Bearer {jwt(self._secret(), claims)}"})
