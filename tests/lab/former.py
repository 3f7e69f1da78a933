"""
Runs a program as the version before, as far as others notice.

    python -m tests.lab.former PYTHON ... -m PROGRAM OPTIONS...

What came since is taken out: fields and messages of the control link, and the newest steps of the records. So it says
and understands what that version did, and refuses what that one refused.
"""

from __future__ import annotations

import runpy
import sys

from morphnet.store import ledger
from morphnet.store.versions import Steps
from morphnet.wire.messages import control

FIELDS = {
    "hello": ("advertise", "networks", "terms", "holders", "advice"),
    "welcome": ("terms", "names", "domains", "relays"),
}
MESSAGES = ("advertise", "networks", "path-terms", "holders", "advice")
RECORDS = 2  # the version of its records


def step_back() -> None:
    """Forget what came since."""
    layouts = control._MESSAGES._layouts
    for message in MESSAGES:
        del layouts[message]
    for message, fields in FIELDS.items():
        for field in fields:
            del layouts[message].fields[field]
    ledger.SCHEMA = Steps(ledger.SCHEMA.scripts[:RECORDS])


if __name__ == "__main__":
    step_back()
    del sys.argv[: sys.argv.index("-m") + 1]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
