"""
What an upload is called by its owner, whatever his address, his token and our process are.

A session's id is bound to path, size and user of the upload by the secret that signs its slots. It is never enough by
itself: whoever shows it shows the slot as well.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from itertools import pairwise

from morphnet.net.http import Exchange
from morphnet.roles.upload.shelf import Shelf
from morphnet.roles.upload.visit import CORS
from morphnet.store.base import OPEN, UploadRecord, UploadSession
from morphnet.wire.messages.upload.slots import SlotRefused, jwt

HEADER, QUERY = "X-Session-ID", "session_id"
REFRESHES = 10  # tokens that one session is given besides its first
LONGEST = 72 * 3600  # seconds from its beginning in which it is given tokens, and for which they are good
LASTS = 24 * 3600  # seconds that each is good for


def session_id(secret: bytes, record: UploadRecord) -> str:
    """256 bits, hex."""
    about = "\0".join(("upload session", record.path, str(record.size), record.user))
    return hmac.new(secret, about.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def check_session(said: str, secrets: Sequence[bytes], record: UploadRecord) -> None:
    """:raises SlotRefused: it is the id of another upload, or of none."""
    given = said.lower().encode("utf-8", "replace")[:128]
    if not sum(hmac.compare_digest(given, session_id(each, record).encode()) for each in secrets):  # all are compared
        raise SlotRefused(403, "the session is not that of this upload")


def _percent(size: int, offset: int) -> float | None:
    if size == OPEN:
        return None
    return round(100 * offset / size, 2) if size else 100.0


def described(said: str, record: UploadRecord, offset: int, session: UploadSession) -> dict[str, object]:
    """What its owner is told."""
    return {
        "session_id": said,
        "filename": record.path.rpartition("/")[2],
        "total_size": None if record.size == OPEN else record.size,
        "uploaded_bytes": offset,
        "progress": _percent(record.size, offset),
        "completed": bool(record.completed_at),
        "created_at": record.created_at,
        "completed_at": record.completed_at or None,
        "refresh_count": session.refreshes,
        "max_refreshes": REFRESHES,
        "network_history": [
            {
                "timestamp": each.at,
                "from_network": before.network if before else None,
                "to_network": each.network,
                "client_ip": each.address,
            }
            for before, each in pairwise((None, *session.moves))
            if each is not None
        ],
    }


class Sessions:
    """
    Answers an owner, who has shown slot and id.

    :param secrets: those that are good now for a slot at this path, the one in use first.
    """

    def __init__(self, shelf: Shelf, secrets: Callable[[str], Sequence[bytes]]) -> None:
        self._shelf, self._secrets = shelf, secrets

    async def tell(self, exchange: Exchange, record: UploadRecord) -> None:
        """How far it is; whoever writes just now is left alone."""
        said = exchange.query[QUERY]
        offset = record.size if record.completed_at else self._shelf.vault.length(record.path)
        session = await self._shelf.uploads.session(record.path)
        headers = {**CORS, "Cache-Control": "no-store"}
        exchange.answer_json(200, headers, described(said, record, offset, session), "application/json")

    async def refresh(self, exchange: Exchange, record: UploadRecord) -> None:
        """
        A new token for the same upload.

        :raises SlotRefused: there were enough, or it is over.
        """
        now, path = int(self._shelf.wall()), record.path
        until = record.created_at + LONGEST
        slot, slash, name = path.rpartition("/")
        if record.completed_at:
            raise SlotRefused(409, "the file is here already")
        if not slash:
            raise SlotRefused(400, "no token can say this address")
        if now >= until:
            raise SlotRefused(410, "the session is over: ask for another slot")
        if not await self._shelf.uploads.refresh(path, REFRESHES):
            raise SlotRefused(429, f"a session has {REFRESHES} tokens besides its first: ask for another slot")
        until = min(until, now + LASTS)
        claims = {"sub": record.user, "slot": slot, "filename": name, "filesize": record.size, "filetype": record.kind}
        token = jwt(self._secrets(path)[0], {**claims, "iat": now, "exp": until, "expires": until})
        left = REFRESHES - (await self._shelf.uploads.session(path)).refreshes
        told = {"authorization": f"Bearer {token}", "expires_at": until, "refreshes_left": left}
        exchange.answer_json(200, {**CORS, "Cache-Control": "no-store"}, told, "application/json")
