"""Asking a process that means no good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, HostError
from morphnet.ops.feedclient import LONGEST_ANSWER, OTHER_VERSION, _answer, _lines, ask, node_status, pong


class FakeSocket:
    """Gives these chunks, each after so many seconds."""

    def __init__(self, chunks: Iterator[bytes], seconds: float = 0.0) -> None:
        self.now, self._chunks, self._seconds = 0.0, chunks, seconds
        self.limit: float | None = None
        self.received = 0

    def settimeout(self, value: float | None, /) -> None:
        """Remember it; nothing ever times out here."""
        self.limit = value

    def recv(self, size: int, /) -> bytes:
        """The next chunk, after so many seconds; empty when there are no more."""
        self.now += self._seconds
        chunk = next(self._chunks, b"")
        self.received += len(chunk)
        return chunk

    def lines(self, timeout: float | None) -> list[bytes]:
        """All that it says."""
        return list(_lines(self, timeout, lambda: self.now))


class ReadTests(SynchronousTestCase):
    def test_nobody(self) -> None:
        """Where there is no socket, or can be none, no morphnet runs."""
        for path in (Path(self.mktemp()), Path("/" + "x" * 200)):
            self.assertIn("no morphnet is running here", str(self.assertRaises(HostError, ask, path, {})))

    def test_lines(self) -> None:
        """Lines come whole however they are cut, each with the whole patience."""
        fake = FakeSocket(iter((b"ab", b"c\nd\n", b"", b"")), 0.9)
        self.assertEqual(fake.lines(2.0), [b"abc", b"d"])
        self.assertEqual(FakeSocket(iter([b"abc\n"] * 9), 1.0).lines(1.5), [b"abc"] * 9)

    def test_trickle(self) -> None:
        """A process that says a byte now and then is not waited for longer than one that says nothing."""
        fake = FakeSocket(iter([b"x"] * 1000), 0.9)
        self.assertRaises(TimeoutError, fake.lines, 5.0)
        self.assertLess(fake.received, 10)
        self.assertLess(fake.limit or 9.0, 1.0)

    def test_endless(self) -> None:
        """An answer without end is given up, after a bounded number of bytes."""
        fake = FakeSocket(iter([b"x" * 65536] * 1000))
        self.assertIn("more than", str(self.assertRaises(HostError, fake.lines, 5.0)))
        self.assertLess(fake.received, LONGEST_ANSWER + (1 << 17))

    def test_cut_off(self) -> None:
        """Half an answer is none."""
        self.assertIn("cut off", str(self.assertRaises(HostError, FakeSocket(iter([b"{"])).lines, None)))

    def test_nonsense(self) -> None:
        """What is no JSON, no object, or nested without end is one sentence."""
        for each in (b"x", b"[]", b"3", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"\xff"):
            self.assertIn("no answer", str(self.assertRaises(HostError, _answer, each)))

    def test_error(self) -> None:
        """An error of the process is shown as text, and not without end."""
        said = json.dumps({"error": "no\x1b[2J\n" + "x" * 10000}).encode()
        told = str(self.assertRaises(ConfigError, _answer, said))
        self.assertEqual(told[:7], "no?[2J?")
        self.assertLess(len(told), 1000)

    def test_other_version(self) -> None:
        """A picture with something missing is of another version."""
        for read in (node_status, pong):
            self.assertEqual(str(self.assertRaises(HostError, read, {"role": "client"})), OTHER_VERSION)
