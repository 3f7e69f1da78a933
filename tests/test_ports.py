"""What is given out is free, and given to one."""

from __future__ import annotations

import socket
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests import ports
from tests.ports import free_port

_TEN = """
import sys
from tests.ports import free_port
print(*(free_port() for _ in range(10)), flush=True)
sys.stdin.read()
"""


class PortTests(SynchronousTestCase):
    def test_nobody_else_is_given_it(self) -> None:
        """Nor is another process, while this one lives, and the kernel gives out none of them."""
        with subprocess.Popen([sys.executable, "-c", _TEN], stdin=-1, stdout=-1, text=True) as other:
            assert other.stdin is not None  # asked for above
            assert other.stdout is not None
            theirs = [int(each) for each in other.stdout.readline().split()]
            self.assertFalse(any(ports._keep(port) for port in theirs))
            other.stdin.close()
        self.assertEqual(len({*theirs, *(free_port() for _ in range(10))}), 20)
        with socket.create_server(("127.0.0.1", 0)) as kernels:
            self.assertGreater(kernels.getsockname()[1], max(theirs))

    def test_what_is_taken_is_left_out(self) -> None:
        """By a program of no test of ours."""
        port = free_port()
        self.assertTrue(ports._is_free(port))
        with socket.create_server(("127.0.0.1", port)):
            self.assertFalse(ports._is_free(port))
