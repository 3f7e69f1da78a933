"""
What a process has counted, as Prometheus reads it.

Source: https://prometheus.io/docs/instrumenting/exposition_formats, text format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Mapping

from morphnet.ops.counted import OF_PROCESS
from morphnet.status import NodeStatus

KIND = "text/plain; version=0.0.4; charset=utf-8"


def _label(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _lines(counted: Mapping[str, int], kind: str, ending: str, labels: str) -> list[str]:
    lines = []
    for name, value in sorted(counted.items()):
        unit, meaning = OF_PROCESS.get(name, ("", ""))
        full = f"morphnet_{name}{ending}"
        lines += [f"# HELP {full} {unit} {meaning}".rstrip(), f"# TYPE {full} {kind}", f"{full}{{{labels}}} {value}"]
    return lines


def exposition(status: NodeStatus, now: float) -> str:
    """
    All of it.

    :param now: Unix seconds.
    """
    labels = f'role="{_label(status.role)}",name="{_label(status.name)}"'
    lines = [
        *_lines(status.counters, "counter", "_total", labels),
        *_lines(status.levels, "gauge", "", labels),
        "# TYPE morphnet_up_seconds gauge",
        f"morphnet_up_seconds{{{labels}}} {now - status.started_at:.0f}",
        "# HELP morphnet_warnings what somebody should look at",
        "# TYPE morphnet_warnings gauge",
        f"morphnet_warnings{{{labels}}} {len(status.warnings)}",
    ]
    return "\n".join(lines) + "\n"
