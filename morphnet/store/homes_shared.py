"""Which homes may register, in a Redis that several coordinators share."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from morphnet.store.homes import Homes

KNOWN = "morphnet:homes:known"  # a hash: home -> since when, Unix seconds
INVITATION = "morphnet:homes:invitation:"  # and the hidden token in hex: "EXPIRES HOMES MADE", in s, a number, in ms
FORGOTTEN = "morphnet:homes:forgotten"  # a hash: home -> when, Unix milliseconds

# An expired invitation goes by the clock of Redis; ours has the last word.
_TAKE = """
local expires, homes, made = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+) ?(%d*)$')
if expires and tonumber(expires) > tonumber(ARGV[2]) then
  local forgotten = redis.call('HGET', KEYS[3], ARGV[1])
  if forgotten and tonumber(forgotten) >= (tonumber(made) or 0) then return 0 end
end
if not expires or tonumber(expires) <= tonumber(ARGV[2]) or tonumber(homes) < 2 then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], expires .. ' ' .. string.format('%d', homes - 1) .. ' ' .. made, 'KEEPTTL')
end
if not expires or tonumber(expires) <= tonumber(ARGV[2]) then return 0 end
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2])
return 1
"""
_FORGET = """
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return redis.call('HDEL', KEYS[1], ARGV[1])
"""


class RedisHomes(Homes):
    """
    See Homes.

    :param ask: a command of Redis; what it answers, or Away.
    """

    def __init__(self, ask: Callable[..., Deferred[object]]) -> None:
        self._ask = ask

    def is_known(self, home: str) -> Deferred[bool]:
        return self._ask("HEXISTS", KNOWN, home).addCallback(_truth)

    def know(self, home: str, since: int) -> Deferred[None]:
        return self._ask("HSETNX", KNOWN, home, since).addCallback(_nothing)

    def invite(self, token: bytes, expires: int, homes: int = 1, made: int = 0) -> Deferred[None]:
        written = self._ask("SET", INVITATION + token.hex(), f"{expires} {homes} {made}", "EXAT", expires)
        return written.addCallback(_nothing)

    def take(self, home: str, token: bytes, now: int) -> Deferred[bool]:
        keys = INVITATION + token.hex(), KNOWN, FORGOTTEN
        return self._ask("EVAL", _TAKE, len(keys), *keys, home, now).addCallback(_truth)

    def forget(self, home: str, at: int) -> Deferred[bool]:
        return self._ask("EVAL", _FORGET, 2, KNOWN, FORGOTTEN, home, at).addCallback(_truth)


def _truth(answer: object) -> bool:
    return answer == 1


def _nothing(answer: object) -> None:
    return None
