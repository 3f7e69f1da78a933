"""What is known of an upload as it is noted beside its bytes, for who has lost all records (`store/shared_vault`)."""

from __future__ import annotations

import json
from dataclasses import replace

from morphnet.store.base import UploadRecord
from morphnet.store.vault import Noted

_FIELDS = ("path", "size", "kind", "user", "created_at", "completed_at", "lasts_until")
_TEXTS = frozenset({"path", "kind", "user"})


def note_of(record: UploadRecord) -> bytes:
    """All of it but what is told by the files themselves."""
    return json.dumps({name: getattr(record, name) for name in _FIELDS}).encode()


def record_of(noted: Noted | None) -> UploadRecord | None:
    """What was noted; None for nothing, and for what is not of these bytes, or no note."""
    try:
        said = json.loads(noted.note) if noted is not None else None
    except (ValueError, RecursionError):
        return None
    if noted is None or not isinstance(said, dict) or said.keys() < set(_FIELDS):
        return None
    if any(type(said[name]) is not (str if name in _TEXTS else int) for name in _FIELDS):
        return None
    record = UploadRecord(**{name: said[name] for name in _FIELDS})
    if (noted.size is None) != (not record.completed_at) or noted.size not in (None, record.size):
        return None
    return replace(record, announced=noted.told and noted.size is None)
