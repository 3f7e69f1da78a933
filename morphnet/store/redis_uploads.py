"""
What is known of uploads, in a Redis that several processes share.

While it is away, what has begun goes on: an upload that this process has seen, or that is noted beside its bytes, is
found; what happens to it is kept and told to Redis when it is there again. Nothing new begins meanwhile, and nothing is
let go.

An upload that Redis has lost (it was killed before its disk had it, or is another one now) is told to it anew by who
looks for it: whoever writes to one notes what is known of it beside its bytes. Those that nobody looks for are told
when a server meets a Redis that has lost everything (`restore`). Who lets go of one removes its bytes, and the note
with them, before its record: so what is noted was not let go.

Source: https://redis.io/docs/latest/commands/ for each command, and EVAL for the steps that nobody comes between.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from morphnet.store.base import MOST_MOVES, OPEN, Move, OverQuota, StoreAway, UploadRecord, Uploads, UploadSession

Ask = Callable[..., Awaitable[Any]]  # one command: its answer, or StoreAway
PREFIX = "morphnet:upload:"  # of each key
KNOWN = 20_000  # records that are remembered for when Redis is away
_RECORD, _MOVES, _USED = f"{PREFIX}record:", f"{PREFIX}moves:", f"{PREFIX}used:"
_BEGUN, _WHOLE, _LASTING = f"{PREFIX}begun", f"{PREFIX}whole", f"{PREFIX}lasting"  # paths by a time, see `older`
_FIELDS = ("size", "kind", "user", "created_at", "completed_at", "announced", "lasts_until", "room")
_INDEX = """
local function place(path, whole, lasts)
    redis.call('ZREM', KEYS[3], path) redis.call('ZREM', KEYS[4], path) redis.call('ZREM', KEYS[5], path)
    if whole == '0' then redis.call('ZADD', KEYS[3], redis.call('HGET', KEYS[1], 'created_at'), path)
    elseif lasts == '0' then redis.call('ZADD', KEYS[4], whole, path)
    else redis.call('ZADD', KEYS[5], lasts, path) end
end
"""
_MARK = f"{PREFIX}told"  # there once all that is noted was told
# KEYS: record, moves, begun, whole, lasting, used. ARGV: path, then what differs.
_BEGIN = f"""{_INDEX}
if redis.call('EXISTS', KEYS[1]) == 1 then return -1 end
local quota, size = tonumber(ARGV[2]), math.max(tonumber(ARGV[3]), tonumber(ARGV[10]))
local used = tonumber(redis.call('GET', KEYS[6]) or '0')
if quota > 0 and used + size > quota then return used end
redis.call('HSET', KEYS[1], 'size', ARGV[3], 'kind', ARGV[4], 'user', ARGV[5], 'created_at', ARGV[6],
    'completed_at', ARGV[7], 'announced', ARGV[8], 'lasts_until', ARGV[9], 'room', ARGV[10], 'refreshes', '0')
redis.call('INCRBY', KEYS[6], size)
place(ARGV[1], ARGV[7], ARGV[9])
return -1
"""
_COMPLETE = f"""{_INDEX}
local before = redis.call('HGET', KEYS[1], 'completed_at')
if not before then return 0 end
if before ~= '0' then return 1 end
if ARGV[3] ~= '0' and redis.call('HGET', KEYS[1], 'created_at') ~= ARGV[3] then return 1 end
redis.call('HSET', KEYS[1], 'completed_at', ARGV[2])
place(ARGV[1], ARGV[2], redis.call('HGET', KEYS[1], 'lasts_until'))
return 1
"""
_ANNOUNCE = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'announced', '1') end return 1"
_SIZED = f"""
if redis.call('HGET', KEYS[1], 'size') ~= '{OPEN}' then return -1 end
local key, quota = '{_USED}' .. redis.call('HGET', KEYS[1], 'user'), tonumber(ARGV[3])
local room = tonumber(redis.call('HGET', KEYS[1], 'room') or '0')
local used = tonumber(redis.call('GET', key) or '0') - room
if quota > 0 and used + tonumber(ARGV[2]) > quota then return used end
redis.call('HSET', KEYS[1], 'size', ARGV[2], 'room', '0')
redis.call('INCRBY', key, tonumber(ARGV[2]) - room)
return -1
"""
_GROW = f"""
if redis.call('HGET', KEYS[1], 'size') ~= '{OPEN}' then return {{1, tonumber(ARGV[3])}} end
local key, least, most = '{_USED}' .. redis.call('HGET', KEYS[1], 'user'), tonumber(ARGV[2]), tonumber(ARGV[3])
local quota, room = tonumber(ARGV[4]), tonumber(redis.call('HGET', KEYS[1], 'room') or '0')
local used = tonumber(redis.call('GET', key) or '0')
if quota > 0 then most = math.min(most, quota - used + room) end
if most < least then return {{0, used}} end
redis.call('HSET', KEYS[1], 'room', most)
redis.call('INCRBY', key, most - room)
return {{1, most}}
"""
_FORGET = f"""
local size, user = redis.call('HGET', KEYS[1], 'size'), redis.call('HGET', KEYS[1], 'user')
local room = redis.call('HGET', KEYS[1], 'room') or '0'
if not size then return 0 end
if ARGV[2] and (redis.call('HGET', KEYS[1], 'created_at') ~= ARGV[2]
    or redis.call('HGET', KEYS[1], 'completed_at') ~= ARGV[3]) then return 0 end
local used = '{_USED}' .. user
if redis.call('DECRBY', used, math.max(tonumber(size), tonumber(room))) <= 0 then redis.call('DEL', used) end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1]) redis.call('ZREM', KEYS[4], ARGV[1]) redis.call('ZREM', KEYS[5], ARGV[1])
return 1
"""
_MOVED = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[2]) redis.call('LTRIM', KEYS[2], -tonumber(ARGV[3]), -1)
return 1
"""
_REFRESH = """
local given = redis.call('HGET', KEYS[1], 'refreshes')
if not given or tonumber(given) >= tonumber(ARGV[2]) then return 0 end
redis.call('HINCRBY', KEYS[1], 'refreshes', 1)
return 1
"""


def _text(path: str) -> str:
    """As it can be a part of a key."""
    return path.encode("utf-8", "backslashreplace").decode()


def _record(path: str, values: list[bytes | None]) -> UploadRecord | None:
    if values[0] is None:
        return None
    size, kind, user, created, completed, announced, lasts, room = [(each or b"").decode() for each in values]
    times = int(created), int(completed)
    return UploadRecord(path, int(size), kind, user, *times, announced == "1", int(lasts), int(room or 0))


def _with(record: UploadRecord, owed: UploadRecord) -> UploadRecord:
    """What Redis has, with what it was not told of."""
    told = replace(
        record,
        announced=record.announced or owed.announced,
        completed_at=record.completed_at or owed.completed_at,
    )
    return replace(told, size=owed.size, room=owed.room) if record.size == OPEN else told


def _left_out(failure: Failure) -> None:
    failure.trap(StoreAway)


class RedisUploads(Uploads):
    """
    See Uploads.

    :param ask: gives one command to Redis.
    :param appeared: whether the whole file of a path is there.
    :param noted: what is noted beside the bytes of a path, and of each.
    """

    def __init__(
        self,
        ask: Ask,
        appeared: Callable[[str], bool],
        noted: Callable[[str], UploadRecord | None] = lambda path: None,
        all_noted: Callable[[], Iterable[UploadRecord]] = tuple,
    ) -> None:
        self._ask, self._appeared, self._noted, self._all_noted = ask, appeared, noted, all_noted
        self._known: OrderedDict[str, UploadRecord] = OrderedDict()  # as they were when Redis was there, and since
        self._owed: dict[str, UploadRecord] = {}  # changes that Redis was not told of

    def find(self, path: str) -> Deferred[UploadRecord | None]:
        return Deferred.fromCoroutine(self._find(path))

    async def _find(self, path: str) -> UploadRecord | None:
        try:
            record = _record(path, await self._ask("HMGET", _RECORD + _text(path), *_FIELDS))
        except StoreAway:
            known, noted = self._known.get(path), self._noted(path)
            found = noted if known is None or (noted is not None and noted.completed_at) else known
            if found is None:
                raise
            self._remember(found)
            return found
        if record is None and await self._lost(path, self._owed.get(path) or self._known.get(path)):
            return await self._find(path)
        if record is None:
            self._known.pop(path, None)
            self._owed.pop(path, None)
            return None
        if (owed := self._owed.get(path)) is not None:
            record = _with(record, owed)
        self._remember(record)
        return record

    async def _lost(self, path: str, record: UploadRecord | None) -> bool:
        """Whether Redis has lost the record of an upload that is here; it has it again then."""
        if record is None or not record.completed_at or not record.created_at or not self._appeared(path):
            record = self._noted(path)
        if record is None:
            return False
        await self._put(record, 0)
        return True

    async def restore(self) -> None:
        """
        Tell Redis of all that is noted, if it has lost everything, or never knew it.

        :raises StoreAway: it is away.
        """
        if await self._ask("EXISTS", _MARK):
            return
        for each in self._all_noted():
            await self._put(each, 0)
            if self._noted(each.path) is None and not self._appeared(each.path):  # somebody has let go of it meanwhile
                await self._forget(each.path, each)
        await self._ask("SET", _MARK, 1)

    def _remember(self, record: UploadRecord) -> None:
        self._known[record.path] = record
        self._known.move_to_end(record.path)
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)

    def begin(self, record: UploadRecord, quota: int = 0) -> Deferred[UploadRecord]:
        return Deferred.fromCoroutine(self._begin(record, quota))

    async def _begin(self, record: UploadRecord, quota: int) -> UploadRecord:
        used = await self._put(record, quota)
        if used >= 0:
            raise OverQuota(used)
        return await self._find(record.path) or record

    async def _put(self, record: UploadRecord, quota: int) -> int:
        values = (record.size, record.kind, record.user, record.created_at, record.completed_at)
        return await self._step(_BEGIN, record, quota, *values, int(record.announced), record.lasts_until, record.room)

    async def _step(self, script: str, record: UploadRecord, *values: object) -> int:
        path = _text(record.path)
        keys = (_RECORD + path, _MOVES + path, _BEGUN, _WHOLE, _LASTING, _USED + _text(record.user))
        return int(await self._ask("EVAL", script, len(keys), *keys, path, *values))

    async def _simple(self, script: str, path: str, *values: object) -> int:
        return await self._step(script, UploadRecord(path, 0, "", "", 0), *values)

    def announce(self, path: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._change(path, lambda record: replace(record, announced=True)))

    def sized(self, path: str, size: int, quota: int = 0) -> Deferred[None]:
        return Deferred.fromCoroutine(self._sized(path, size, quota))

    async def _sized(self, path: str, size: int, quota: int) -> None:
        try:
            used = await self._simple(_SIZED, path, size, quota)
        except StoreAway:
            self._owe(path, size, 0)
        else:
            if used >= 0:
                raise OverQuota(used)
        self._recall(path, size, 0)

    def grow(self, path: str, least: int, most: int, quota: int = 0) -> Deferred[int]:
        return Deferred.fromCoroutine(self._grow(path, least, most, quota))

    async def _grow(self, path: str, least: int, most: int, quota: int) -> int:
        text = _text(path)
        try:
            done, room = await self._ask("EVAL", _GROW, 1, _RECORD + text, text, least, most, quota)
        except StoreAway:
            room = most  # nobody can tell how much there is: what runs goes on, and counts when Redis is back
            self._owe(path, OPEN, room)
        else:
            if not done:
                raise OverQuota(room)
        self._recall(path, OPEN, room)
        return int(room)

    def _owe(self, path: str, size: int, room: int) -> None:
        """:raises StoreAway: nothing is known of it."""
        known = self._owed.get(path) or self._known.get(path)
        if known is None:
            raise StoreAway("Redis, which knows of it, is away")
        if known.size == OPEN:
            self._owed[path] = replace(known, size=size, room=room)

    def _recall(self, path: str, size: int, room: int) -> None:
        if (known := self._known.get(path)) is not None and known.size == OPEN:
            self._remember(replace(known, size=size, room=room))

    def complete(self, path: str, now: int) -> Deferred[None]:
        return Deferred.fromCoroutine(self._change(path, lambda record: replace(record, completed_at=now)))

    async def _change(self, path: str, change: Callable[[UploadRecord], UploadRecord]) -> None:
        changed = change(self._known.get(path) or UploadRecord(path, 0, "", "", 0))
        try:
            await self._tell(changed)
        except StoreAway:
            if path not in self._known:
                raise
            self._owed[path] = changed
        if path in self._known:
            self._remember(change(self._known[path]))

    async def _tell_all(self, record: UploadRecord) -> None:
        if record.size != OPEN:
            await self._simple(_SIZED, record.path, record.size, 0)
        elif record.room:
            text = _text(record.path)
            await self._ask("EVAL", _GROW, 1, _RECORD + text, text, 0, record.room, 0)
        await self._tell(record)

    async def _tell(self, record: UploadRecord) -> None:
        if record.announced:
            await self._simple(_ANNOUNCE, record.path)
        if record.completed_at:
            there = await self._simple(_COMPLETE, record.path, record.completed_at, record.created_at)
            if not there:
                await self._lost(record.path, record)

    @property
    def owed(self) -> int:
        """Uploads with changes that Redis was not told of."""
        return len(self._owed)

    async def catch_up(self) -> None:
        """
        Redis is there again: tell it what happened meanwhile.

        :raises StoreAway: it has gone once more.
        """
        for path, record in list(self._owed.items()):
            await self._tell_all(record)
            if self._owed.get(path) is record:
                del self._owed[path]

    def forget(self, path: str, only: UploadRecord | None = None) -> Deferred[None]:
        return Deferred.fromCoroutine(self._forget(path, only))

    async def _forget(self, path: str, only: UploadRecord | None) -> None:
        if (owed := self._owed.get(path)) is not None:
            await self._tell_all(owed)
        await self._simple(_FORGET, path, *(() if only is None else (only.created_at, only.completed_at)))
        self._known.pop(path, None)
        self._owed.pop(path, None)

    def used(self, user: str) -> Deferred[int]:
        return Deferred.fromCoroutine(self._used(user))

    async def _used(self, user: str) -> int:
        return int(await self._ask("GET", _USED + _text(user)) or 0)

    def older(self, begun: int, completed: int, now: int) -> Deferred[list[UploadRecord]]:
        return Deferred.fromCoroutine(self._older(begun, completed, now))

    async def _older(self, begun: int, completed: int, now: int) -> list[UploadRecord]:
        found = []
        for key, before in ((_BEGUN, begun), (_WHOLE, completed), (_LASTING, now)):
            for path in await self._ask("ZRANGEBYSCORE", key, "-inf", f"({before}"):
                record = await self._find(path.decode())
                if record is not None:
                    found.append(record)
        return found

    def moved(self, path: str, move: Move) -> Deferred[None]:
        return self._unless_away(self._moved(path, move))

    async def _moved(self, path: str, move: Move) -> None:
        await self._simple(_MOVED, path, f"{move.at} {move.network} {move.address}", MOST_MOVES)

    @staticmethod
    def _unless_away(work: Coroutine[Any, Any, None]) -> Deferred[None]:
        """What is for who looks is left out then."""
        doing: Deferred[None] = Deferred.fromCoroutine(work)
        return doing.addErrback(_left_out)

    def refresh(self, path: str, most: int) -> Deferred[bool]:
        return Deferred.fromCoroutine(self._refresh(path, most))

    async def _refresh(self, path: str, most: int) -> bool:
        return await self._simple(_REFRESH, path, most) == 1

    def session(self, path: str) -> Deferred[UploadSession]:
        return Deferred.fromCoroutine(self._session(path))

    async def _session(self, path: str) -> UploadSession:
        given = await self._ask("HGET", _RECORD + _text(path), "refreshes")
        if given is None:
            return UploadSession()
        moves = []
        for each in await self._ask("LRANGE", _MOVES + _text(path), 0, -1):
            at, network, address = each.decode().split(" ", 2)
            moves.append(Move(int(at), network, address))
        return UploadSession(int(given), tuple(moves))

    def close(self) -> Deferred[None]:
        return succeed(None)
