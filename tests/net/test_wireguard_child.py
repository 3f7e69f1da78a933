"""A child that ends with its parent, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net import wireguard_child

CHILD = str(Path(wireguard_child.__file__))
PARENT = """
import os, subprocess, sys
words = [sys.executable, "-I", "-S", sys.argv[1], str(os.getpid()), sys.executable, "-c"]
child = subprocess.Popen([*words, "print('runs', flush=True); import time; time.sleep(60)"], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


class ChildTests(SynchronousTestCase):
    def test_dies_with_parent(self) -> None:
        """When its parent is killed it is as well, though it is another program by then."""
        with subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            os.kill(child, 0)
            parent.kill()
            parent.wait(10)
        self.assertTrue(_ends(child))

    def test_too_late(self) -> None:
        """One whose parent is gone already becomes nothing."""
        done = subprocess.run(
            [sys.executable, "-I", "-S", CHILD, "1", "echo", "runs"], capture_output=True, text=True, timeout=30
        )
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_no_program(self) -> None:
        """What is not there is an error."""
        words = [sys.executable, "-I", "-S", CHILD, str(os.getpid()), "/nowhere/program"]
        self.assertNotEqual(subprocess.run(words, capture_output=True, timeout=30).returncode, 0)


def _ends(pid: int) -> bool:
    """Whether it does, soon; one that nobody has waited for has ended too."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False
