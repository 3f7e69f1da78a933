"""
What the original's browser client asks a coordinator by HTTP: which servers are here, to hand an offer on, and whether
there is an answer.

The original lets 30 requests a minute pass for each address, polls among them, so that an answer that takes longer than
14 s is lost. Here polls of a session that there is are free; offers and wrong answers to a challenge are counted.

Source: docs/homechannel section 3.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from morphnet.errors import MalformedFrame
from morphnet.legacy.homechannel import boxes, keys
from morphnet.legacy.homechannel.boxes import text_of
from morphnet.legacy.homechannel.servers import ONLINE, Servers

SESSION = 60.0  # seconds that an offer waits for its answer
DOUBTED_AFTER = 12.0  # seconds without an answer, after which the server may not have understood the offer
OFF_BY = 60_000  # milliseconds that a browser's clock may be wrong
MOST_SESSIONS = 4096
MOST_KEYS = 64  # that are asked for at once
LONGEST = 100_000  # bytes of a request

Told = tuple[int, dict[str, Any]]  # HTTP status, and the body


@dataclass(slots=True)
class _Session:
    """One offer."""

    server: str
    at: float
    answer: dict[str, Any] | None = None


def _no(status: int, why: str) -> Told:
    return status, {"error": why}


class Signalling:
    """
    All of it.

    :param entropy: gives so many random bytes.
    :param wall: milliseconds of Unix time.
    :param may: whether somebody may do that now: "ask", "connect" or "guess", and an address or a server.
    :param spend: likewise: it was done.
    """

    def __init__(
        self,
        servers: Servers,
        entropy: Callable[[int], bytes],
        wall: Callable[[], int],
        may: Callable[[str, str], bool],
        spend: Callable[[str, str], None],
    ) -> None:
        self._servers, self._entropy, self._wall, self._may, self._spend = servers, entropy, wall, may, spend
        self._sessions: dict[str, _Session] = {}
        self.counts: Counter[str] = Counter()
        servers.answered = self._answered

    def __len__(self) -> int:
        return len(self._sessions)

    def asked(self, path: str, body: bytes, caller: str, now: float) -> Told:
        """What a POST is answered."""
        handlers = {"/api/servers": self._list, "/api/connect": self._connect, "/api/poll": self._poll}
        handler = handlers.get(path)
        if handler is None:
            return _no(404, "Not found")
        try:
            return handler(boxes.read_object(body), caller, now)
        except MalformedFrame as wrong:
            return _no(400, f"Invalid request: {wrong}")

    def _limited(self, what: str, caller: str) -> Told | None:
        if self._may(what, caller):
            self._spend(what, caller)
            return None
        self.counts["homechannel_limited"] += 1
        return _no(429, "Too many requests")

    def _list(self, asked: dict[str, Any], caller: str, now: float) -> Told:
        wanted = asked.get("serverPublicKeys")
        if not isinstance(wanted, list):
            return _no(400, "serverPublicKeys must be an array")
        if (no := self._limited("ask", caller)) is not None:
            return no
        found = []
        for shown in wanted[:MOST_KEYS]:
            server = self._servers.of(_plain(shown))
            if server is not None:
                online = server.heard_at > now - ONLINE
                about = {"publicKeyHash": shown, "name": f"{shown[:16]}...", "online": online}
                found.append(about | {"challenge": server.challenge})
        return 200, {"servers": found}

    def _connect(self, asked: dict[str, Any], caller: str, now: float) -> Told:
        name, answer = _plain(text_of(asked, "serverPublicKey", 1024)), text_of(asked, "challengeAnswer", 128)
        payload, at = asked.get("payload"), asked.get("timestamp")
        if not isinstance(payload, dict) or "sdp" not in payload or not isinstance(payload.get("candidates"), list):
            return _no(400, "Invalid payload")
        if not isinstance(at, (int, float)) or isinstance(at, bool) or not abs(self._wall() - at) <= OFF_BY:
            return _no(400, "Invalid or expired timestamp")
        if (no := self._limited("connect", caller)) is not None:
            return no
        server = self._servers.of(name)
        if server is None:
            return _no(404, "Server not found")
        if not (self._may("guess", caller) and self._may("guess", name)):
            self.counts["homechannel_limited"] += 1
            return _no(429, "Too many requests")
        if not hmac.compare_digest(answer.encode(), server.answer.encode()):
            for each in (caller, name):
                self._spend("guess", each)
            self.counts["homechannel_wrong"] += 1
            return _no(403, "Invalid challenge answer")
        session = self._entropy(16).hex()
        if len(self._sessions) >= MOST_SESSIONS or not self._servers.offer(name, session, payload):
            return _no(500, "Failed to relay the offer")
        self._sessions[session] = _Session(name, now)
        self.counts["homechannel_offers"] += 1
        return 200, {"success": True, "sessionId": session, "message": "Waiting for server response"}

    def _poll(self, asked: dict[str, Any], caller: str, now: float) -> Told:
        name = text_of(asked, "sessionId", 64)
        session = self._sessions.get(name)
        if session is None:
            return self._limited("ask", caller) or _no(404, "Session not found")
        if session.answer is not None:
            del self._sessions[name]
            return 200, {"success": True, **session.answer}
        if session.at < now - SESSION:
            del self._sessions[name]
            return _no(408, "Session expired")
        if session.at < now - DOUBTED_AFTER:
            self._servers.doubt(session.server)
        return 200, {"success": False, "waiting": True}

    def _answered(self, server: str, message: dict[str, Any]) -> None:
        name = message.get("sessionId")
        session = self._sessions.get(name) if isinstance(name, str) else None
        if session is None or session.server != server or session.answer is not None:
            self.counts["homechannel_late"] += 1
            return
        same = {each: message.get(each) for each in ("serverPublicKey", "sessionId", "timestamp", "payload")}
        signed = {"serverSignature": message.get("signature")}
        session.answer = same | signed | {"serverSignatureAlgorithm": message.get("signatureAlgorithm")}

    def expire(self, now: float) -> None:
        """Forget offers that nobody asks for any more."""
        for name in [name for name, each in self._sessions.items() if each.at < now - SESSION - DOUBTED_AFTER]:
            del self._sessions[name]


def _plain(shown: Any) -> str:
    """The name of a server as a browser has it; "" for what is none."""
    try:
        return keys.plain(shown) if isinstance(shown, str) else ""
    except MalformedFrame:
        return ""
