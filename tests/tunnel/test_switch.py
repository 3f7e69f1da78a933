"""The switch between a local network and the peers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.switch import AGE, MOST_ADDRESSES, MOVED_AFTER, Switch
from morphnet.wire.ethernet import LONGEST

EVERYBODY = b"\xff" * 6
PEERS = ("bert", "carl")


def address(number: int) -> bytes:
    """One of a single machine."""
    return b"\x02" + number.to_bytes(5, "big")


def frame(to: bytes, source: bytes, size: int = 60) -> bytes:
    """An Ethernet frame."""
    return (to + source + b"\x08\0").ljust(size, b"x")


class SwitchTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A switch that knows nobody."""
        self.switch = Switch()

    def test_learns(self) -> None:
        """What nobody knows goes to all peers; once it has answered, to the one that it is behind."""
        here, there = address(1), address(2)
        self.assertEqual(self.switch.from_local(frame(EVERYBODY, here), PEERS, 0.0), list(PEERS))
        self.assertEqual(self.switch.from_local(frame(there, here), PEERS, 0.0), list(PEERS))
        self.assertTrue(self.switch.from_peer(frame(here, there), "carl", 0.1))
        self.assertEqual(self.switch.from_local(frame(there, here), PEERS, 0.2), ["carl"])
        self.assertEqual(self.switch.from_local(frame(EVERYBODY, here), PEERS, 0.3), list(PEERS))

    def test_stays_local(self) -> None:
        """What is for somebody on the local network does not leave it."""
        self.switch.from_local(frame(EVERYBODY, address(1)), PEERS, 0.0)
        self.assertEqual(self.switch.from_local(frame(address(1), address(2)), PEERS, 0.1), [])

    def test_no_circles(self) -> None:
        """What comes from a peer goes to no other peer, nor back; a frame of ours that returns is dropped."""
        self.switch.from_peer(frame(EVERYBODY, address(3)), "carl", 0.0)
        self.assertFalse(self.switch.from_peer(frame(address(3), address(2)), "bert", 0.1))
        self.switch.from_local(frame(EVERYBODY, address(1)), PEERS, 0.2)
        self.assertFalse(self.switch.from_peer(frame(EVERYBODY, address(1)), "bert", 0.3))
        self.assertEqual(self.switch.counts["frames_circling"], 1)

    def test_moves_here(self) -> None:
        """A machine that was carried to our local network is ours at once."""
        self.switch.from_peer(frame(EVERYBODY, address(1)), "bert", 0.0)
        self.switch.from_local(frame(EVERYBODY, address(1)), PEERS, 0.1)
        self.assertEqual(self.switch.from_local(frame(address(1), address(2)), PEERS, 0.2), [])

    def test_moves_away(self) -> None:
        """One that was carried away is found there when the local network has forgotten it too."""
        self.switch.from_local(frame(EVERYBODY, address(1)), PEERS, 0.0)
        self.assertTrue(self.switch.from_peer(frame(EVERYBODY, address(1)), "bert", AGE + 0.1))
        self.assertEqual(self.switch.from_local(frame(address(1), address(2)), PEERS, AGE + 1), ["bert"])

    def test_moves_between_peers(self) -> None:
        """Where it was and where it shows itself both get its frames, until it speaks where it was or is forgotten."""
        shown = frame(EVERYBODY, address(1))
        self.switch.from_peer(shown, "bert", 0.0)
        self.assertTrue(self.switch.from_peer(shown, "carl", MOVED_AFTER + 0.1))
        self.assertEqual(self.switch.from_local(frame(address(1), address(2)), PEERS, 40.0), list(PEERS))
        self.switch.from_peer(shown, "bert", 41.0)
        self.assertEqual(self.switch.from_local(frame(address(1), address(2)), PEERS, 42.0), ["bert"])
        self.switch.from_peer(shown, "carl", 41.0 + AGE + 1)
        self.assertEqual(self.switch.from_local(frame(address(1), address(2)), PEERS, 43.0 + AGE), ["carl"])

    def test_nothing_is_taken(self) -> None:
        """A peer that shows the address of a machine behind another one, or of ours, gets none of its frames."""
        self.switch.from_peer(frame(EVERYBODY, address(1)), "bert", 0.0)
        self.switch.from_local(frame(EVERYBODY, address(2)), PEERS, 0.0)
        for second in range(1, int(MOVED_AFTER)):
            self.assertFalse(self.switch.from_peer(frame(EVERYBODY, address(1)), "carl", float(second)))
        self.assertEqual(self.switch.from_local(frame(address(1), address(3)), PEERS, MOVED_AFTER), ["bert"])
        for second in range(1, int(AGE)):
            self.assertFalse(self.switch.from_peer(frame(EVERYBODY, address(2)), "carl", float(second)))
        self.assertTrue(self.switch.from_peer(frame(address(2), address(1)), "bert", AGE))
        self.assertEqual((self.switch.counts["frames_claimed"], self.switch.counts["frames_circling"]), (29, 299))

    def test_a_claim_ends_with_its_peer(self) -> None:
        """Who is gone gets nothing, and leaves the owner what it has."""
        shown = frame(EVERYBODY, address(1))
        self.switch.from_peer(shown, "bert", 0.0)
        self.switch.from_peer(shown, "carl", MOVED_AFTER + 1)
        self.switch.forget("carl")
        self.assertEqual(self.switch.from_local(frame(address(1), address(2)), PEERS, 40.0), ["bert"])

    def test_who_makes_addresses_up(self) -> None:
        """It loses its own: what is behind others stays known."""
        self.switch.from_peer(frame(EVERYBODY, address(1)), "carl", 0.0)
        self.switch.from_local(frame(EVERYBODY, address(2)), PEERS, 0.0)
        for number in range(3, 2 * MOST_ADDRESSES):
            self.switch.from_peer(frame(EVERYBODY, address(number)), "bert", 0.1)
        self.assertEqual(self.switch.from_local(frame(address(1), address(2)), PEERS, 1.0), ["carl"])

    def test_forgets(self) -> None:
        """An address is forgotten with its peer, and in time."""
        self.switch.from_peer(frame(EVERYBODY, address(2)), "bert", 0.0)
        self.switch.from_peer(frame(EVERYBODY, address(3)), "carl", 0.0)
        self.switch.forget("bert")
        self.assertEqual(self.switch.from_local(frame(address(2), address(1)), PEERS, 1.0), list(PEERS))
        self.assertEqual(self.switch.from_local(frame(address(3), address(1)), PEERS, AGE + 1), list(PEERS))

    def test_bounded(self) -> None:
        """Whoever makes addresses up fills no more than the table."""
        for number in range(2 * MOST_ADDRESSES):
            self.switch.from_peer(frame(EVERYBODY, address(number)), "bert", 0.0)
        self.assertEqual(len(self.switch), MOST_ADDRESSES)

    @given(st.binary(max_size=LONGEST + 8))
    def test_junk(self, junk: bytes) -> None:
        """Whatever comes is a frame, or counted."""
        switch = Switch()
        went = switch.from_local(junk, PEERS, 0.0)
        arrived = switch.from_peer(junk, "bert", 10.0)
        self.assertLessEqual(len(went), 2)
        self.assertIn(arrived, (True, False))
