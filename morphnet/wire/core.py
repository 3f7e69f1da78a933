"""
Who seals and opens: the compiled core where it was built, with the fastest cipher that is here, or the pure one.

The environment variable MORPHNET_CORE=pure turns the compiled one off; it does not let itself be imported then.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from morphnet.errors import Forged
from morphnet.wire import offload, pure, rows
from morphnet.wire.ip import View
from morphnet.wire.offload import Cut
from morphnet.wire.pure import Form, Front, Layout
from morphnet.wire.rows import RowLayout, Unit
from morphnet.wire.shapes import masking
from morphnet.wire.shapes.shape import Coat, Stream, Undressed

try:
    from morphnet.wire import _core
except ImportError:
    _core = None  # type: ignore[assignment]
if _core is not None and not hasattr(_core.Key, "open_row"):
    _core = None  # type: ignore[assignment]  # it was made of older source


Take = Callable[[View, int, Stream, tuple[int, int, int], Container[bytes]], Undressed | None]
Samples = Callable[[View, int, int, int], bytes]
Dress = Callable[[View, int, int, bytes, int, bytes], View]
Undress = Callable[[View, int, int, bytes, tuple[int, int], Container[bytes]], Undressed | None]


class Key(Protocol):
    """One AES-256-GCM key; see wire/pure.py."""

    def seal(self, front: Front, nonce: bytes, head: View, body: View, size: int, /) -> bytes | bytearray:
        "A run of datagrams."

    def seal_masked(
        self, front: Front, nonce: bytes, head: View, body: View, size: int, coat: Coat, /
    ) -> bytes | bytearray:
        "The same, masked."

    def open(self, form: Form, nonce: bytes, data: View, /) -> bytes:
        "One datagram."

    def open_all(self, form: Form, nonce: bytes, data: View, size: int, gap: int, /) -> list[bytes]:
        "Several; all or nothing."

    def open_run(self, form: Form, nonce: bytes, data: View, size: int, gap: int, /) -> tuple[bytearray, int] | None:
        "Slices, joined; all or nothing."

    def open_row(self, row: RowLayout, nonce: bytes, data: View, size: int, gap: int, /) -> list[Unit]:
        "Packets of many flows; all or nothing."

    def open_whole(
        self, form: Form, nonce: bytes, data: View, size: int, gap: int, flags: int, /
    ) -> list[tuple[bytearray, bytes] | None]:
        "Whole packets; all or nothing."


@dataclass(frozen=True, slots=True)
class Core:
    """One implementation; see wire/pure.py, wire/offload.py and wire/shapes/masking.py for what each function does."""

    name: str  # as `morphnet status` shows it
    key: Callable[[bytes], Key]  # from 32 bytes
    count_following: Callable[[Layout, View, int, int, int], int]
    count_row: Callable[[RowLayout, View, int, int, int], int]
    gather: Callable[[Sequence[View]], Sequence[Cut | None]]
    finish: Callable[[bytearray, int, bool, int], bytes | None]
    single: Callable[[View, int], tuple[bytearray, bytes] | None]
    mask_samples: Samples
    mask_dress: Dress
    mask_undress: Undress
    mask_take: Take


_MASKING = masking.samples, masking.dress, masking.undress, masking.take
PURE = Core(
    "pure", pure.Key, pure.count_following, rows.count_row, offload.gather, offload.finish, offload.single, *_MASKING
)
# What to call it, where it is, and for which processor; the fastest first: 170, 350, 720 ns for 1400 bytes.
_CIPHERS = (
    ("ipsec-mb, VAES and AVX-512", "libIPSec_MB.so.1", "vaes_avx512"),
    ("ipsec-mb, AVX2", "libIPSec_MB.so.1", "avx_gen4"),
    ("libcrypto 3", "libcrypto.so.3", ""),
)


unmask: Callable[[View, bytes], bytes] = getattr(_core, "unmask", pure.unmask)  # of WebSockets, see wire/pure.py


def _right(core: Core) -> bool:
    """Whether `core` gives the bytes of the pure one, and takes them: a library may not be what its name says."""
    secret, nonce, text = bytes(range(32)), bytes(range(12)), bytes(range(256)) * 9
    front = b"", b"a header", b"a header", 8
    key = core.key(secret)
    for plain in (text, text[:1400], b""):
        sealed = bytearray(key.seal(front, nonce, b"", plain, len(plain) or 1))
        if sealed != PURE.key(secret).seal(front, nonce, b"", plain, len(plain) or 1):
            return False
        if key.open((8, 8), nonce, sealed) != plain:
            return False
        sealed[-1] ^= 1
        try:
            key.open((8, 8), nonce, sealed)
        except Forged:
            continue
        return False
    return True


def cores() -> Iterator[Core]:
    """Every implementation that works here, the fastest first; each is looked for when it is asked for."""
    if _core is not None:
        masks = _core.mask_samples, _core.mask_on, _core.mask_undress, _core.mask_take
        for name, library, variant in _CIPHERS:
            cipher = _core.load(library, variant)
            if cipher is not None:
                core = Core(
                    f"compiled (AES-GCM by {name})",
                    partial(_core.Key, cipher),
                    _core.count_following,
                    _core.count_row,
                    _core.gather,
                    _core.finish,
                    _core.single,
                    *masks,
                )
                if _right(core):
                    yield core
    yield PURE


CORE = next(cores())
