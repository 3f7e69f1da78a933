"""How long datagrams waited at a socket."""

from __future__ import annotations

import socket
import struct

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.stamps import SO_TIMESTAMPNS, STANDING, Stamps, ask_for_stamps
from tests.net.fakes import FakeSocket

SECOND = 1_000_000_000


class StampsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now, self.wall = 100.0, 5_000 * SECOND
        self.stamps = Stamps(lambda: self.wall, lambda: self.now)

    def wait(self, seconds: float) -> None:
        """Time passes, by both clocks."""
        self.now += seconds
        self.wall += round(seconds * SECOND)

    def stamp(self, ago: float) -> bytes:
        """What the kernel says of what arrived so long ago."""
        moment = self.wall - round(ago * SECOND)
        return struct.pack("@ll", moment // SECOND, moment % SECOND)

    def waited(self, *ago: float, empty: bool = True) -> list[float]:
        """What is told of datagrams that arrived so long ago, rounded to microseconds."""
        return [round(late, 6) for late in self.stamps.waited([self.stamp(each) for each in ago], empty=empty)]

    def test_each(self) -> None:
        """Each datagram of a wake-up has its own wait; one without a stamp has none."""
        self.wait(1.0)
        self.assertEqual(self.waited(0.05, 0.02, 0.0), [0.05, 0.02, 0.0])
        self.wait(1.0)
        self.assertEqual(self.stamps.waited([b""], empty=True), [0.0])

    def test_wall_clock_set(self) -> None:
        """A wall clock that is set makes no wait longer than the socket has not been empty, and none negative."""
        self.wait(0.03)
        self.wall += 3600 * SECOND
        self.assertEqual(self.waited(3600.01), [0.03])
        self.wall -= 3600 * SECOND
        self.wait(0.03)
        self.assertEqual(self.waited(-3600.0), [0.0])

    def test_catches_up(self) -> None:
        """Several wake-ups that it takes to read what came while we did not run are all excused."""
        self.wait(0.1)
        self.assertEqual(self.waited(0.1, 0.09, empty=False), [0.1, 0.09])
        self.wait(0.01)
        self.assertEqual(self.waited(0.09, 0.05), [0.09, 0.05])

    def test_standing(self) -> None:
        """A socket that never gets empty has a queue, which nobody excuses, until it is empty again."""
        for _ in range(round(STANDING / 0.05)):
            self.wait(0.05)
            self.assertEqual(self.waited(0.04, empty=False), [0.04])
        self.wait(0.05)
        self.assertEqual(self.waited(0.04, empty=False), [0.0])
        self.assertEqual(self.waited(0.04), [0.04])
        self.wait(0.05)
        self.assertEqual(self.waited(0.04, empty=False), [0.04])

    def test_refused(self) -> None:
        """A kernel without stamps is no error."""
        fake = FakeSocket()
        fake.refused_options = {(socket.SOL_SOCKET, SO_TIMESTAMPNS)}
        ask_for_stamps(fake.as_socket())
        self.assertEqual(fake.options, [])
