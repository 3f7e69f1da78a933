"""Which uplink a socket leaves by, on a real kernel: two have the same address, one has several."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]


def observe(case: str) -> Any:
    """What `case` of tests.lab.devices saw."""
    rootless = ["--user", "--map-root-user"] if os.geteuid() else []
    command = ["unshare", *rootless, "--net", sys.executable, "-m", "tests.lab.devices", case]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    if ended.returncode:
        raise AssertionError(f"{case}: {ended.stderr}")
    return json.loads(ended.stdout.splitlines()[-1])


class DeviceTests(SynchronousTestCase):
    def test_own_device(self) -> None:
        """Calls and datagrams leave by the device that they are bound to, from the address of its default route."""
        expected = {"wan0": ["p0 192.168.8.100"], "wan1": ["p1 192.168.8.101"]}
        for case in ("tcp", "blocking", "udp"):
            self.assertEqual(observe(case), expected, case)

    def test_sources(self) -> None:
        """The kernel says what a device sends from, to each destination."""
        self.assertEqual(observe("sources"), ["192.168.8.100", "192.168.8.101", "10.7.7.7", "", ""])
