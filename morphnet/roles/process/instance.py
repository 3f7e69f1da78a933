"""What a process calls itself, so that a server and a relay can tell who has come back from a copy of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2s
from pathlib import Path

from morphnet.rendezvous.rivals import MACHINE

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # another one each time that a machine starts


def new_instance(state_dir: Path, entropy: Callable[[int], bytes] = os.urandom, boot_id: Path = BOOT_ID) -> str:
    """
    16 hexadecimal digits: half of them are of this machine and `state_dir`, until it starts anew; half of this process.

    A copy on another machine has another boot id, one on this machine another directory; two processes never have one
    directory, which is locked. Where the machine does not tell, all of it is of this process.
    """
    process = entropy(8).hex()
    try:
        at = state_dir.stat()
        place = f"{boot_id.read_text().strip()} {at.st_dev} {at.st_ino}"
    except OSError:
        return process
    return blake2s(place.encode(), digest_size=MACHINE // 2).hexdigest() + process[MACHINE:]
