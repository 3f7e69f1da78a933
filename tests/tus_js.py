"""The real tus-js-client, in node."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

MODULES = Path(__file__).resolve().parents[1] / ".venv" / "tus-client"  # where `.ci/setup` has it
_SCRIPT = Path(__file__).with_suffix(".mjs")
HERE = shutil.which("node") is not None and (MODULES / "node_modules" / "tus-js-client").exists()
WITHOUT = None if HERE else "no tus-js-client here (npm, by .ci/setup)"


def words(
    protocol: str, parts: int, url: str, file: Path, headers: Mapping[str, str], *, cut: bool = False
) -> list[str]:
    """
    The command that uploads a file to a slot.

    :param parts: that are sent at the same time.
    :param cut: it is aborted after its first piece, and another one goes on.
    """
    given = [protocol, str(parts), str(int(cut)), url, str(file), json.dumps(dict(headers))]
    return ["node", str(_SCRIPT), str(MODULES), *given]
