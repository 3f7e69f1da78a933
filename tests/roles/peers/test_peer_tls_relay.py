"""A relay that lies, between two peers: it may keep them from meeting, and nothing else."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.peers.peer_tls import MOST_BYTES
from tests.fakes_tls import CLIENT, SERVER, FakeCa
from tests.roles.peers.introductions import NAMES, Couple, End, Relay, talk

RECORD = b"\x16\x03\x03\x40\x00"  # a TLS record of 16 KiB begins
_calm = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


class RelayTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.couple = Couple()

    def meet(self, relay: Relay) -> tuple[End, End]:
        """
        Two peers with that relay between them.

        Whatever it does: nobody is introduced to anybody else, or has a session with other keys.
        """
        caller, called = self.couple.ends()
        talk(caller, called, relay)
        self.assertIn(caller.peers, ([], [NAMES[False]]))
        self.assertIn(called.peers, ([], [NAMES[True]]))
        self.assertLessEqual(max(len(caller.reasons), len(called.reasons)), 1)
        if caller.session:
            self.assertEqual((called.session, caller.key()), (True, called.key()))
        return caller, called

    def assert_kept_apart(self, relay: Relay, *, failed: bool = True) -> None:
        """The caller, who decides, has no session; if `failed`, an end knows that it came to nothing."""
        caller, called = self.meet(relay)
        self.assertFalse(caller.session)
        if failed:
            self.assertTrue(caller.reasons or called.reasons)


class MiddleTests(RelayTestCase):
    """The relay speaks TLS itself, with both."""

    def between(self, name: dict[bool, str], ca: FakeCa, usage: str) -> tuple[End, End]:
        """The two, and how they fare with a relay that shows a certificate to each."""
        caller, called = self.couple.ends()
        kind = {"client": CLIENT, "server": SERVER}[usage]
        fakes = {which: End(self.couple.tls(which, ca.identity(name[which], kind, trust=self.couple.ca.pem)),
                            caller=which) for which in (True, False)}  # fmt: skip
        talk(caller, fakes[False])
        talk(fakes[True], called)
        return caller, called

    def test_swapped(self) -> None:
        """A relay with a certificate of its own, of the same network or another, or of a server, is nobody's peer."""
        own = {True: "mallory", False: "mallory"}
        for name, ca, usage in (
            (own, self.couple.ca, "client"),
            (own, FakeCa(), "client"),
            (NAMES, FakeCa(), "client"),
            (NAMES, self.couple.ca, "server"),
            (NAMES, FakeCa(), "server"),
        ):
            for end in self.between(name, ca, usage):
                self.assertEqual((end.peers, end.session, len(end.reasons)), ([], False, 1))

    def test_crossed(self) -> None:
        """Two who call two others and are connected crosswise by the relay do not take them for whom they called."""
        other = Couple()
        caller, called = self.couple.ends()[0], other.ends()[1]
        talk(caller, called)
        self.assertEqual((caller.peers, called.peers, caller.session), ([], [], False))

    def test_reflected(self) -> None:
        """Who is sent its own words back talks to nobody; nor do two who both call."""
        for called in (False, True):
            end = self.couple.ends()[called]
            if not called:
                end.introducer.start()
            flight = b"".join(end.out) or self.couple.flights()[1][1]
            end.introducer.received(flight)
            self.assertEqual((end.peers, end.session, len(end.reasons)), ([], False, 1))


class BytesTests(RelayTestCase):
    """The relay changes what it carries."""

    def setUp(self) -> None:
        super().setUp()
        self.flights = self.couple.flights()

    def test_flights(self) -> None:
        """An introduction takes two round trips: the hello, the answer, the greeting, and what makes the session."""
        self.assertEqual([by_caller for by_caller, _ in self.flights], [True, False, True, False])

    def only(self, turn: int, change: Callable[[bytes], list[bytes]]) -> Relay:
        """A relay that changes one flight."""
        seen = iter(range(100))
        return lambda by_caller, data: change(data) if next(seen) == turn else [data]

    def test_flipped(self) -> None:
        """Any bit flipped in any region of any flight: no session, but for some in a head that mean nothing."""
        survived = 0
        for turn, (_, flight) in enumerate(self.flights):
            for at in [*range(12), *range(12, len(flight), 23)]:

                def flip(data: bytes, at: int = at) -> list[bytes]:
                    at = min(at, len(data) - 1)
                    return [data[:at] + bytes((data[at] ^ 1 << at % 8,)) + data[at + 1 :]]

                caller, _ = self.meet(self.only(turn, flip))
                survived += caller.session
        self.assertLess(survived, 12)

    @_calm
    @given(st.integers(0, 3), st.integers(0, 4000), st.binary(min_size=1, max_size=50))
    def test_overwritten(self, turn: int, at: int, junk: bytes) -> None:
        """Bytes overwritten anywhere bring no session with anybody else, and nothing else either."""
        self.meet(self.only(turn, lambda data: [data[:at] + junk + data[at + len(junk) :]]))

    def test_truncated(self) -> None:
        """A flight cut short, or left out: nobody has a session, and the next flight does not mend it."""
        for turn, (_, flight) in enumerate(self.flights):
            for length in (0, 1, 5, len(flight) // 2, len(flight) - 1):
                self.assert_kept_apart(self.only(turn, lambda data, length=length: [data[:length]]),  # type: ignore[misc]
                                       failed=False)  # fmt: skip

    def test_cut_out(self) -> None:
        """Bytes missing from the middle of a flight, and what follows come all the same: it fails or stands still."""
        for turn, (_, flight) in enumerate(self.flights):
            for at in range(0, len(flight), len(flight) // 12):
                self.assert_kept_apart(self.only(turn, lambda data, at=at: [data[:at], data[at + 40 :]]),  # type: ignore[misc]
                                       failed=False)  # fmt: skip

    def test_reordered(self) -> None:
        """The halves of any flight the wrong way round: it fails."""
        for turn in range(4):
            self.assert_kept_apart(
                self.only(turn, lambda data: [data[len(data) // 2 :], data[: len(data) // 2]]), failed=turn < 3
            )

    def test_doubled(self) -> None:
        """Any flight that comes twice makes its receiver fail, though a session that it made first may stand."""
        for turn in range(4):
            caller, called = self.meet(self.only(turn, lambda data: [data, data]))
            self.assertTrue(caller.reasons or called.reasons)
            self.assertEqual(caller.session, turn >= 2)

    def test_injected(self) -> None:
        """Anything in front of a flight: it fails."""
        for turn in range(4):
            for junk in (b"\0", os.urandom(100), b"GET / HTTP/1.1\r\n\r\n", b"\x15\x03\x03\0\2\2\x28",
                         b"\x17\x03\x03\0\x20" + bytes(32)):  # fmt: skip
                self.assert_kept_apart(self.only(turn, lambda data, junk=junk: [junk, data]))  # type: ignore[misc]

    def test_replayed(self) -> None:
        """Flights of an earlier introduction, in place of any of those of this one: it fails."""
        for turn, (_, flight) in enumerate(self.flights):
            self.assert_kept_apart(self.only(turn, lambda data, flight=flight: [flight]))  # type: ignore[misc]

    def test_replayed_whole(self) -> None:
        """All that one end said in an earlier introduction, said again to the other: it is introduced to nobody."""
        for by_caller in (True, False):
            end = self.couple.ends()[by_caller]
            if not by_caller:
                end.introducer.start()
            for _, flight in (each for each in self.flights if each[0] is by_caller):
                end.introducer.received(flight)
            self.assertEqual((end.peers, end.session, len(end.reasons)), ([], False, 1))

    @_calm
    @given(st.lists(st.binary(max_size=200), max_size=10))
    def test_junk(self, junk: list[bytes]) -> None:
        """Arbitrary bytes in place of a peer are nobody."""
        for end in self.couple.ends():
            for piece in junk:
                end.introducer.received(piece)
            self.assertEqual((end.peers, end.session), ([], False))


class FloodTests(RelayTestCase):
    """The relay, or a peer, sends without end."""

    def test_without_end(self) -> None:
        """Who is sent a record without end, or one after another, takes so many bytes; then it is over, quietly."""
        for head in (b"", RECORD):
            for end in self.couple.ends():
                if head:
                    end.introducer.received(head)
                for _ in range(MOST_BYTES // 1000 + 100):
                    end.introducer.received(bytes(1000))
                self.assertEqual((end.session, len(end.reasons)), (False, 1))
                answered = len(b"".join(end.out))
                end.introducer.received(bytes(1 << 20))
                self.assertEqual((len(end.reasons), len(b"".join(end.out))), (1, answered))
                self.assertLess(answered, 4096)

    def test_one_byte_too_many(self) -> None:
        """What is too much is not even looked at."""
        end = self.couple.ends()[1]
        end.introducer.received(RECORD + bytes(MOST_BYTES - len(RECORD) + 1))
        self.assertEqual(end.reasons, ["it says too much"])

    def test_peer_says_too_much(self) -> None:
        """A peer that was introduced, and then talks without end, is cut off."""
        caller, called = self.couple.ends()
        talk(caller, called)
        for _ in range(100):
            called.introducer._connection.sendall(b"\x40\0" + bytes(2000))
            called.introducer._flush()
            while called.out:
                caller.introducer.received(called.out.popleft())
        self.assertEqual(len(caller.reasons), 1)

    def test_random_relay(self) -> None:
        """A relay that cuts, drops, doubles, swaps and bends by chance, five hundred times: nothing but failures."""
        chance = random.Random(1)

        def relay(by_caller: bool, data: bytes) -> list[bytes]:
            cuts = sorted(chance.sample(range(len(data)), min(3, len(data))))
            pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
            match chance.randrange(12):
                case 0:
                    pieces.pop(chance.randrange(len(pieces)))
                case 1:
                    pieces.append(chance.choice(pieces))
                case 2:
                    chance.shuffle(pieces)
                case 3:
                    pieces.insert(chance.randrange(len(pieces)), chance.randbytes(chance.randrange(1, 300)))
            return pieces

        for _ in range(500):
            self.meet(relay)
