"""
The network's policy as it travels: within the signed list of revocations, so that whoever has that list has it too.

It has a sequence: who has one does not go back to an earlier one. A number of this format, the sequence (u64,
big-endian), then the rules, compressed.

Source: docs/protocol section 19.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from morphnet.config.policy import Policy, from_text
from morphnet.durable import write_over
from morphnet.errors import ConfigError, Refused

FILE = "policy.published"  # where the CA's key is
LONGEST = 8192  # bytes of one that is packed: a list has to hold it
_LONGEST_TEXT = 1 << 20  # bytes of its rules
_FORMAT = 1
_HEAD = struct.Struct("!BQ")


@dataclass(frozen=True)
class Published:
    """One that can be signed, or was."""

    sequence: int  # of one that came later it is higher; about the Unix seconds at which it was published
    policy: Policy


def pack(published: Published) -> bytes:
    """
    As it is signed.

    :raises ConfigError: it is too long.
    """
    text = zlib.compress(published.policy.as_text().encode("ascii"), 9)
    packed = _HEAD.pack(_FORMAT, published.sequence) + text
    if len(packed) > LONGEST:
        raise ConfigError(f"the policy is {len(packed)} bytes long, and {LONGEST} are possible: name networks or *")
    return packed


def sequence_of(packed: bytes) -> int:
    """Of one that may be none; 0 then."""
    return int(_HEAD.unpack_from(packed)[1]) if len(packed) > _HEAD.size and packed[0] == _FORMAT else 0


def unpack(packed: bytes) -> Published:
    """
    What a signed one says.

    :raises Refused: it cannot be read; that may be for another version of ours.
    """
    if not sequence_of(packed) or len(packed) > LONGEST:
        raise Refused("policy of a form that is not known here")
    expand = zlib.decompressobj()
    try:
        text = expand.decompress(packed[_HEAD.size :], _LONGEST_TEXT)
        if not expand.eof or expand.unused_data:
            raise Refused("policy that cannot be read")
        return Published(sequence_of(packed), from_text(text.decode("ascii")))
    except (zlib.error, UnicodeDecodeError):
        raise Refused("policy that cannot be read") from None
    except ConfigError as wrong:
        raise Refused(f"policy that is not understood here: {wrong}") from None


def latest(several: Sequence[bytes]) -> bytes:
    """The one of the highest sequence; the first of two that are equal, b"" for none."""
    return max((each for each in several if sequence_of(each)), key=sequence_of, default=b"")


def read_published(home: Path) -> bytes:
    """
    The one that was published here last, packed; b"" for none.

    :param home: where the CA's key is.
    :raises ConfigError: it cannot be read.
    """
    path = home / FILE
    try:
        packed = path.read_bytes()
        if packed:  # systemd's units want a file that is there
            unpack(packed)
    except FileNotFoundError:
        return b""
    except OSError as trouble:
        raise ConfigError(f"cannot read {path}: {trouble.strerror}") from None
    except Refused as refused:
        raise ConfigError(f"{path}: {refused.reason}: publish the policy again, after you have removed it") from None
    return packed


def write_published(home: Path, packed: bytes) -> None:
    """Keep it: every list that is signed from now on has it."""
    write_over(home / FILE, packed, mode=0o644)
