"""
Who seals and opens: the compiled core where it was built, with the fastest cipher that is here, or the pure one.

The environment variable MORPHNET_CORE=pure turns the compiled one off; it does not let itself be imported then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from morphnet.wire import pure
from morphnet.wire.ip import View
from morphnet.wire.pure import Form, Front, Place, Row

try:
    from morphnet.wire import _core
except ImportError:
    _core = None  # type: ignore[assignment]


class Key(Protocol):
    """One AES-256-GCM key; see wire/pure.py."""

    def seal(self, front: Front, nonce: bytes, head: View, body: View, size: int, /) -> bytes | bytearray:
        "A run of datagrams."

    def open(self, form: Form, nonce: bytes, data: View, size: int, out: bytearray, place: Place, /) -> bool:
        "A train of datagrams, all or nothing."


@dataclass(frozen=True, slots=True)
class Core:
    """One implementation."""

    name: str  # as `morphnet status` shows it
    key: Callable[[bytes], Key]  # from 32 bytes
    count_following: Callable[[Row, View, int, int], int]


PURE = Core("pure", pure.Key, pure.count_following)
# What to call it, where it is, and for which processor; the fastest first: 170, 350, 720 ns for 1400 bytes.
_CIPHERS = (
    ("ipsec-mb, VAES and AVX-512", "libIPSec_MB.so.1", "vaes_avx512"),
    ("ipsec-mb, AVX2", "libIPSec_MB.so.1", "avx_gen4"),
    ("libcrypto 3", "libcrypto.so.3", ""),
)


def _right(core: Core) -> bool:
    """Whether `core` gives the bytes of the pure one, and takes them: a library may not be what its name says."""
    secret, nonce, body = bytes(range(32)), bytes(range(12)), bytes(range(256)) * 9
    words = (b"\x04\x04\x01", b"first 16 bytes..", b"ending, the same", 16), nonce, b"head", body, 1000
    key, out = core.key(secret), bytearray(len(body) + 4)
    sealed = bytearray(key.seal(*words))
    if sealed != PURE.key(secret).seal(*words) or not key.open((16, 16), nonce, sealed, 1036, out, (0, 4)):
        return False
    sealed[-1] ^= 1
    return out == b"head" + body and not key.open((16, 16), nonce, sealed, 1036, out, (0, 4))


def cores() -> Iterator[Core]:
    """Every implementation that works here, the fastest first; each is looked for when it is asked for."""
    if _core is not None:
        for name, library, variant in _CIPHERS:
            cipher = _core.load(library, variant)
            if cipher is not None:
                core = Core(f"compiled (AES-GCM by {name})", partial(_core.Key, cipher), _core.count_following)
                if _right(core):
                    yield core
    yield PURE


CORE = next(cores())
