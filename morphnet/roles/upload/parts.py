"""The parts that a file comes in, each an upload of its own: what they are known by, and which of them are there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from morphnet.rendezvous.transfer import Turn
from morphnet.roles.upload.checking import Body
from morphnet.store.base import UploadRecord, Uploads
from morphnet.store.vault import Vault
from morphnet.wire.messages.upload.slots import SlotRefused

MOST = 64  # parts of one file
_PIECE = 1 << 20  # bytes of one that are copied at once


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


def joined(
    vault: Vault, parts: Sequence[str], turn: Turn, written: Callable[[Callable[[], None]], Awaitable[None]]
) -> Body:
    """
    The body that whole files are, one behind the other, as long as it has the turn.

    :param parts: their paths.
    :param written: has a piece of them taken where that holds up nobody.
    """

    async def body(take: Callable[[bytes], None]) -> None:
        for path in parts:
            if (file := vault.open(path)) is None:
                raise SlotRefused(409, "a part has gone")
            with file:
                while turn.current and (data := file.read(_PIECE)):
                    await written(partial(take, data))

    return body
