"""What is said in settings of shapes, the disguises of what goes over UDP to the server."""

from __future__ import annotations

from typing import Any

SHAPES = ("plain", "masked")  # the cheapest first: `auto` tries them in this order
AUTO = "auto"  # what the network lets through, found out
SHAPE: dict[str, Any] = {
    "help": "plain, or masked: what goes to the server looks like random bytes; auto: the cheapest that the network"
    " lets through; see docs/shapes.md",
    "choices": (*SHAPES, AUTO),
}
SHAPE_RETRY: dict[str, Any] = {
    "least": 1.0,
    "help": "with shape auto: after at most so many seconds cheaper shapes are tried again, and never at regular times",
}
