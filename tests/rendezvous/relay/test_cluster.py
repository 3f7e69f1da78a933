"""A relay that has no others, and members that are elsewhere."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.relay.cluster import Alone, RemoteMember
from morphnet.wire.messages.relay import Present


class AloneTests(SynchronousTestCase):
    def test_nobody(self) -> None:
        """Every number is free, no name is taken, and nobody is anywhere else."""
        alone = Alone()
        self.assertEqual(alone.number(7), 7)
        self.assertFalse(alone.taken("home", "anna", "1" * 16))
        self.assertEqual((alone.named("home", "anna"), alone.find(7), list(alone.everybody("home"))), (None, None, []))
        self.assertEqual((alone.state, alone.counters()), ("", {}))


class RemoteMemberTests(SynchronousTestCase):
    def test_hand(self) -> None:
        """An envelope goes to its relay with the sender's number; what that says of room is believed."""
        carried = []

        def carry(envelope: bytes, sender: int) -> bool:
            carried.append((envelope, sender))
            return False

        remote = RemoteMember(9, "home", "bert", "1" * 16, ("line 203.0.113.9 1",), carry)
        self.assertFalse(remote.hand(b"sealed", 5))
        self.assertEqual(carried, [(b"sealed", 5)])
        self.assertEqual(remote.present(), Present(9, "bert", "1" * 16, ("line 203.0.113.9 1",)))
        self.assertTrue(remote.wants("anybody"))
