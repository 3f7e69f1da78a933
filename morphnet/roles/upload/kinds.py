"""What a file is whose client has said no more than that it has bytes: told by its first ones, by puremagic."""

from __future__ import annotations

from collections import OrderedDict
from typing import BinaryIO

import puremagic

from morphnet.wire.messages.upload.serving import BINARY, clean_kind, shows

_HEAD = 4096  # bytes that are looked at
_SURE = 0.3  # as puremagic counts: three bytes of a signature at least
_MOST = 10_000  # files that are remembered


def kind_of(head: bytes) -> str:
    """
    The type of pictures, sound and video that browsers show, and may; BINARY for all else: HTML and SVG can do things.

    :param head: the first bytes of a file.
    """
    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):  # it knows of none; there is nothing
        return BINARY
    said = [str(each.mime_type).lower() for each in matches if each.confidence >= _SURE and each.mime_type]
    if not all(kind.startswith(("image/", "audio/", "video/", "application/")) for kind in said):
        return BINARY
    said.sort(key=lambda kind: not kind.startswith("image/"))  # a picture may come in the container of a video
    media = [kind for kind in said if not kind.startswith("application/")]
    return media[0] if media and shows(media[0]) else BINARY


class Kinds:
    """The types of files that were given out lately."""

    def __init__(self) -> None:
        self._known = OrderedDict[str, str]()  # by ETag

    def of(self, etag: str, said: str, file: BinaryIO) -> str:
        """
        That of this one, which stands at its beginning when this returns.

        :param said: by its client, who is believed if it is a type.
        """
        if (kind := clean_kind(said)) != BINARY:
            return kind
        if etag not in self._known:
            self._known[etag] = kind_of(file.read(_HEAD))
            file.seek(0)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        self._known.move_to_end(etag)
        return self._known[etag]
