"""
Whether the data plane runs compiled: mypyc makes some of its modules where a compiler is there at installation.

The source stays the same, and is what runs where they are absent. With MORPHNET_CORE=c in the environment only the core
in C is used, with MORPHNET_CORE=pure not that either. A checkout whose source is newer than what was made of it runs
the source, so that nobody debugs what is not there.

Source: mypyc's documentation; importlib.machinery.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path

PACKAGES = ("tunnel", "wire", "wire/shapes")
SHARED = "tunnel__mypyc"  # the library in which all of them are; each module's own only leads there
MODULES = (
    "tunnel/capacity.py",
    "tunnel/choice.py",
    "tunnel/contention.py",
    "tunnel/delivery.py",
    "tunnel/egress.py",
    "tunnel/flight.py",
    "tunnel/fragments.py",
    "tunnel/inbound.py",
    "tunnel/intake.py",
    "tunnel/keyring.py",
    "tunnel/landing.py",
    "tunnel/lateness.py",
    "tunnel/liveness.py",
    "tunnel/mtu.py",
    "tunnel/outbound.py",
    "tunnel/pacer.py",
    "tunnel/part.py",
    "tunnel/path.py",
    "tunnel/pathtable.py",
    "tunnel/patience.py",
    "tunnel/timers.py",
    "tunnel/question.py",
    "tunnel/received.py",
    "tunnel/recovery.py",
    "tunnel/reorder.py",
    "tunnel/replay.py",
    "tunnel/roaming.py",
    "tunnel/rtt.py",
    "tunnel/scheduler.py",
    "tunnel/session.py",
    "tunnel/share.py",
    "tunnel/terms.py",
    "tunnel/tunnel.py",
    "tunnel/usual_loss.py",
    "tunnel/validation.py",
    "tunnel/wardrobe.py",
    "tunnel/window.py",
    "wire/formats.py",
    "wire/seal.py",
    "wire/segments.py",
    "wire/shapes/masked.py",
    "wire/shapes/padding.py",
    "wire/shapes/quic.py",
)  # what every packet passes


def made(source: Path) -> Path:
    """Where the compiled module of `source` is, if it was made."""
    return source.with_suffix(EXTENSION_SUFFIXES[0])


def usable(package: Path) -> bool:
    """Whether all of them were made and, in a checkout, none was changed since."""
    checkout = (package.parent / "setup.py").exists()
    if not made(package / SHARED).exists():
        return False
    for module in MODULES:
        source = package / module
        if not made(source).exists() or (checkout and source.stat().st_mtime > made(source).stat().st_mtime):
            return False
    return True


def prefer_source(package: Path) -> None:
    """Have modules imported from their source, where there is both."""
    loaders = (SourceFileLoader, SOURCE_SUFFIXES), (ExtensionFileLoader, EXTENSION_SUFFIXES)
    for name in PACKAGES:
        directory = str(package / name)
        sys.path_importer_cache[directory] = FileFinder(directory, *loaders)


def choose(package: Path) -> bool:
    """Decide, before the first of them is imported: whether they run compiled."""
    if "MORPHNET_CORE" not in os.environ and usable(package):
        return True
    prefer_source(package)
    return False


IN_USE = choose(Path(__file__).parent)
