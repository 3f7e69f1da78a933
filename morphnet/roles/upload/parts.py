"""The parts that a file comes in, each an upload of its own: what they are known by, and which of them are there."""

from __future__ import annotations

from morphnet.store.base import UploadRecord, Uploads

MOST = 64  # parts of one file


def part_path(path: str, number: int) -> str:
    """What a part is known by; nobody can ask for that path."""
    return f"{path}\0{number}"


def whole_of(path: str) -> str:
    """The path of the file that this is a part of; itself, if it is none."""
    return path.partition("\0")[0]


async def parts_of(uploads: Uploads, path: str) -> dict[int, UploadRecord]:
    """Those of this file that have begun, by their numbers; a part has none."""
    found = {}
    if whole_of(path) == path:
        for number in range(MOST):
            if (there := await uploads.find(part_path(path, number))) is not None:
                found[number] = there
    return found
