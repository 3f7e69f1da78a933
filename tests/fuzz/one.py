"""
One target under atheris, in a process of its own: libFuzzer ends the process when it has done.

    python -m tests.fuzz.one TARGET [what libFuzzer takes]

The data plane is read from its source (atheris cannot look into what mypyc compiled); the core in C is used as it is.
"""

from __future__ import annotations

import contextlib
import os
import sys

import atheris


def main() -> None:
    """Never comes back: exit code 0 when nothing was found."""
    os.environ["MORPHNET_CORE"] = "c"
    with atheris.instrument_imports(include=["morphnet"], enable_loader_override=False):
        from tests.fuzz.targets import targets
    target = targets()[sys.argv.pop(1)]
    sys.argv[0] = f"{sys.executable} -m tests.fuzz.one {target.name}"  # a shell reads it when libFuzzer merges

    def read(data: bytes) -> None:
        with contextlib.suppress(*target.declared):
            target.read(data)

    atheris.Setup(sys.argv, read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
