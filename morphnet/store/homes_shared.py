"""Which homes may register, in a Redis that several coordinators share."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from morphnet.store.homes import Homes

KNOWN = "morphnet:homes:known"  # a hash: home -> since when, Unix seconds
INVITATION = "morphnet:homes:invitation:"  # and the hidden token in hex: "EXPIRES HOMES", Unix seconds and a number

# An expired invitation goes by the clock of Redis; ours has the last word.
_TAKE = """
local expires, homes = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+)$')
if not expires or tonumber(expires) <= tonumber(ARGV[2]) or tonumber(homes) < 2 then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], expires .. ' ' .. (homes - 1), 'KEEPTTL')
end
if not expires or tonumber(expires) <= tonumber(ARGV[2]) then return 0 end
redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2])
return 1
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

    def invite(self, token: bytes, expires: int, homes: int = 1) -> Deferred[None]:
        return self._ask("SET", INVITATION + token.hex(), f"{expires} {homes}", "EXAT", expires).addCallback(_nothing)

    def take(self, home: str, token: bytes, now: int) -> Deferred[bool]:
        return self._ask("EVAL", _TAKE, 2, INVITATION + token.hex(), KNOWN, home, now).addCallback(_truth)

    def forget(self, home: str) -> Deferred[bool]:
        return self._ask("HDEL", KNOWN, home).addCallback(_truth)


def _truth(answer: object) -> bool:
    return answer == 1


def _nothing(answer: object) -> None:
    return None
