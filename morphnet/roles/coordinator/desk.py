"""What browsers are answered: the page, and what their homes say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence

from twisted.internet.interfaces import IProtocolFactory

from morphnet.errors import Refused
from morphnet.net.http import BodySlow, Exchange
from morphnet.roles.coordinator.between import PATH as RELAY
from morphnet.roles.coordinator.calls import Absent, Calls, TooMany
from morphnet.roles.coordinator.pages import Page, origin_of
from morphnet.wire.messages.home.calls import LONGEST_BODY
from morphnet.wire.messages.home.invitation import Invitation

LONGEST = LONGEST_BODY + 1024  # bytes of a request
BODY_WITHIN = 20.0  # seconds
JSON = "application/json"
_HOME = re.compile(r"[A-Za-z0-9_-]{43}")
_BODY = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST_BODY}}}")
_NEVER_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Desk:
    """
    Answers HTTP.

    :param pages: by path.
    :param stun_port: of ours, UDP.
    :param proxied: whether a proxy tells who calls.
    :param welcome: origins of pages that none of us serves, which may call as well.
    :param relay: builds what serves the WebSockets of the last resort; None when there is no room.
    """

    def __init__(
        self,
        pages: Mapping[str, Page],
        calls: Calls,
        stun_port: int,
        *,
        proxied: bool,
        welcome: Collection[str] = (),
        relay: Callable[[], IProtocolFactory | None] = lambda: None,
    ) -> None:
        self._read, self._calls, self._stun_port, self._proxied = pages, calls, stun_port, proxied
        self._relay, self._welcome = relay, frozenset(welcome)
        self.name(())

    def name(self, others: Sequence[Invitation]) -> None:
        """Other coordinators: their pages may call here, and ours there."""
        self._others = [{"page": each.page, "stun": f"stun:{each.coordinator}"} for each in others if each.page]
        self._origins = frozenset(origin_of(each["page"]) for each in self._others)
        self._pages = {path: page.calling(self._origins) for path, page in self._read.items()}

    async def answer(self, exchange: Exchange) -> None:
        """One request."""
        path, verb = exchange.location, exchange.verb
        if path == "/api/call":
            self._let_others(exchange)
            if verb == "POST":
                await self._call(exchange)
            elif verb == "OPTIONS":
                exchange.answer(204, _NEVER_KEPT)
            else:
                exchange.answer(405, {"Allow": "POST"})
        elif path == RELAY and verb == "GET" and exchange.headers.get("upgrade", "").lower() == "websocket":
            self._hand_over(exchange)
        elif verb not in ("GET", "HEAD"):
            exchange.answer(405, {"Allow": "GET, HEAD"})
        elif path == "/api/coordinator":
            self._let_others(exchange)
            told = {"stun": self._stun_port, "others": self._others}
            exchange.answer_json(200, _NEVER_KEPT, told, JSON)
        else:
            self._page(exchange, self._pages.get(path))

    def _hand_over(self, exchange: Exchange) -> None:
        factory = self._relay()
        if factory is None or exchange.length:
            exchange.answer(503, _NEVER_KEPT)
        else:
            exchange.hand_over(factory)

    def _let_others(self, exchange: Exchange) -> None:
        """
        A browser may call from the page of another coordinator, when that one is gone, and from pages that the operator
        has named (CORS).
        """
        origin = exchange.headers.get("origin", "")
        if origin in self._origins or origin in self._welcome:
            exchange.tell("Access-Control-Allow-Origin", origin)
            exchange.tell("Access-Control-Allow-Methods", "POST")
            exchange.tell("Access-Control-Allow-Headers", "Content-Type")
            exchange.tell("Vary", "Origin")

    def _page(self, exchange: Exchange, page: Page | None) -> None:
        if page is None:
            exchange.answer(404, _NEVER_KEPT, b"there is nothing here\n")
        elif exchange.headers.get("if-none-match") == page.mark:
            exchange.answer(304, page.headers)
        else:
            exchange.answer(200, page.headers, page.body)

    async def _call(self, exchange: Exchange) -> None:
        if exchange.length is None or exchange.length > LONGEST:
            exchange.answer_json(413, _NEVER_KEPT, {"error": "too long"}, JSON)
            return
        if exchange.headers.get("content-type") != JSON:  # no page of another site can send that without asking
            exchange.answer_json(415, _NEVER_KEPT, {"error": "send JSON"}, JSON)
            return
        try:
            asked = _read(await exchange.short_body(BODY_WITHIN))
        except BodySlow:
            exchange.answer_json(408, _NEVER_KEPT, {"error": "too slow"}, JSON)
            return
        if asked is None:
            exchange.answer_json(400, _NEVER_KEPT, {"error": "malformed"}, JSON)
            return
        try:
            body = await self._calls.ask(asked[0], caller_of(exchange, proxied=self._proxied), asked[1])
        except TooMany as no:
            exchange.answer_json(429, {**_NEVER_KEPT, "Retry-After": str(no.wait)}, {"error": no.reason}, JSON)
        except Absent as no:
            exchange.answer_json(404, _NEVER_KEPT, {"error": no.reason}, JSON)
        except Refused as no:
            exchange.answer_json(503, _NEVER_KEPT, {"error": no.reason}, JSON)
        else:
            exchange.answer_json(200, _NEVER_KEPT, {"body": body}, JSON)


def caller_of(exchange: Exchange, *, proxied: bool) -> str:
    """
    The address of who calls.

    :param proxied: a proxy tells it.
    """
    if proxied:
        return exchange.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()[:64] or "a proxy"
    return str(getattr(exchange.channel.getPeer(), "host", ""))


def _read(body: bytes) -> tuple[str, str] | None:
    """Home and body of a call; None when it is none."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return None
    home, said = (asked.get("home"), asked.get("body")) if isinstance(asked, dict) else (None, None)
    if not isinstance(home, str) or not isinstance(said, str):
        return None
    return (home, said) if _HOME.fullmatch(home) and _BODY.fullmatch(said) else None
