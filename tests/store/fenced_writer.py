"""A process that writes to uploads: `fenced_writer DIRECTORY`, and for each line with a path until it may no more."""

from __future__ import annotations

import sys
from pathlib import Path

from morphnet.store.shared_vault import SharedVault
from morphnet.store.vault import Taken

PIECE = b"old " * 256


def write(vault: SharedVault, path: str) -> None:
    """Until another takes it."""
    partial = vault.take(path)
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    try:
        while True:
            partial.append(PIECE)
    except Taken:
        partial.close()


def main(directory: str) -> None:
    """Tell when each has begun, and when it is another's."""
    vault = SharedVault(Path(directory))
    for line in sys.stdin:
        write(vault, line.strip())
        sys.stdout.write("taken\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
