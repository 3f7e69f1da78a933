"""What the kernel makes of the filter of a listening socket."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.blocks import blocks_of
from morphnet.net.screen import attach, program
from tests.lab.scene import NOT_HERE

NEVER = 1e-9  # of a block's callers: none


class ScreenTests(SynchronousTestCase):
    skip = NOT_HERE

    def _connects(self, family: socket.AddressFamily, source: str, to: tuple[str, int], within: float) -> bool:
        with socket.socket(family, socket.SOCK_STREAM) as caller:
            caller.settimeout(within)
            caller.bind((source, 0))
            try:
                caller.connect(to)
            except TimeoutError:
                return False
            return True

    def _listening(self, family: socket.AddressFamily, host: str) -> socket.socket:
        listening = socket.socket(family, socket.SOCK_STREAM)
        self.addCleanup(listening.close)
        listening.bind((host, 0))
        listening.listen(10)
        return listening

    def test_screened(self) -> None:
        """A screened block gets no answer, others do; who is connected goes on; and it can be undone. Both families."""
        for family, host, source, level in (
            (socket.AF_INET, "127.0.0.1", "127.9.8.7", 1),
            (socket.AF_INET6, "::1", "::1", 3),
        ):
            listening = self._listening(family, host)
            to = listening.getsockname()[:2]
            with socket.create_connection(to, 5.0, (source, 0)) as caller:
                accepted = listening.accept()[0]
                self.addCleanup(accepted.close)
                attach(listening, program(6 if ":" in host else 4, {blocks_of(source)[level]: NEVER}))
                self.assertFalse(self._connects(family, source, to, 0.3))
                if family == socket.AF_INET:
                    self.assertTrue(self._connects(family, "127.10.8.7", to, 5.0))
                caller.sendall(b"still here")
                accepted.settimeout(5.0)
                self.assertEqual(accepted.recv(20), b"still here")
            attach(listening, [])
            self.assertTrue(self._connects(family, source, to, 5.0))
