"""What is said in settings of shapes, the disguises of what goes over UDP to the server."""

from __future__ import annotations

from typing import Any

SHAPES = ("plain", "masked")
SHAPE: dict[str, Any] = {
    "help": "plain, or masked: what goes to the server looks like random bytes, see docs/shapes.md",
    "choices": SHAPES,
}
