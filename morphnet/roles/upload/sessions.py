"""
What an upload is called by its owner, whatever his address, his token and our process are.

A session's id is bound to path, size and user of the upload by the secret that signs its slots. It is never enough by
itself: whoever shows it shows the slot as well.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from morphnet.store.base import UploadRecord
from morphnet.wire.messages.upload.slots import SlotRefused

HEADER, QUERY = "X-Session-ID", "session_id"


def session_id(secret: bytes, record: UploadRecord) -> str:
    """256 bits, hex."""
    about = "\0".join(("upload session", record.path, str(record.size), record.user))
    return hmac.new(secret, about.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def check_session(said: str, secrets: Sequence[bytes], record: UploadRecord) -> None:
    """:raises SlotRefused: it is the id of another upload, or of none."""
    given = said.lower().encode("utf-8", "replace")[:128]
    if not sum(hmac.compare_digest(given, session_id(each, record).encode()) for each in secrets):  # all are compared
        raise SlotRefused(403, "the session is not that of this upload")


def described(said: str, record: UploadRecord, offset: int) -> dict[str, object]:
    """What its owner is told."""
    return {
        "session_id": said,
        "filename": record.path.rpartition("/")[2],
        "total_size": record.size,
        "uploaded_bytes": offset,
        "progress": round(100 * offset / record.size, 2) if record.size else 100.0,
        "completed": bool(record.completed_at),
        "created_at": record.created_at,
        "completed_at": record.completed_at or None,
    }
