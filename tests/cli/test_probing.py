"""Answers are read as they come."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli.probing import answers, caller

INTERIM, FINAL = (
    b"HTTP/1.1 104 X\r\nLocation: /a\r\n\r\n",
    b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nA: 1\r\na: 2\r\n\r\n",
)


class ProbingTests(SynchronousTestCase):
    def test_answers(self) -> None:
        """Interim and final, not before they are whole; headers that come twice are both there."""
        self.assertEqual([each.status for each in answers(INTERIM + FINAL + b"x", ended=False)], [104])
        first, last = answers(INTERIM + FINAL + b"xy", ended=False)
        self.assertEqual(
            (first.one("location"), last.body, last.all("a"), last.one("b")), ("/a", b"xy", ["1", "2"], "")
        )
        self.assertEqual([each.body for each in answers(FINAL + b"x", ended=True)], [b"x"])
        self.assertEqual(answers(b"rubbish\r\n\r\n", ended=True)[0].status, 0)

    def test_call(self) -> None:
        """A request on a socket, its answer, and the end of it."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        url = urlsplit(f"http://127.0.0.1:{listening.getsockname()[1]}/up/")
        line = caller(url)("PUT", "/up/x", {"Content-Length": "2"}, b"ab")
        self.addCleanup(line.close)
        far, _ = listening.accept()
        self.addCleanup(far.close)
        got = far.recv(1000)
        self.assertTrue(got.startswith(b"PUT /up/x HTTP/1.1\r\nHost: 127.0.0.1"), got)
        self.assertTrue(got.endswith(b"\r\n\r\nab"), got)
        self.assertEqual((line.hear(0.01), line.ended), ([], False))
        far.sendall(FINAL + b"ok")
        self.assertEqual([each.status for each in line.hear(20.0)], [201])
        far.shutdown(socket.SHUT_RDWR)
        far.close()
        line.hear(20.0)
