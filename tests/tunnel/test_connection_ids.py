"""The ids that a client has in hand."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.events import Effects
from morphnet.tunnel.outbound import ControlPacket
from morphnet.wire.batch import Arrival
from morphnet.wire.frames import Challenge, NewIds
from tests.simulation import SERVER_END, Link, World


class ConnectionIdsTests(SynchronousTestCase):
    def test_known_at_once(self) -> None:
        """New ids, and in the same batch what has the client show one of them: it knows itself by that id."""
        world = World([(Link(), Link())])
        world.run(3.0)
        ours, theirs, effects = world.client_session, world.server_session, Effects()
        ours.connection_ids.in_hand.clear()
        ids = world.server.issue_ids(theirs, 8)
        for packet in (ControlPacket([NewIds(tuple(ids))], asks=True), ControlPacket([Challenge(b"12345678")])):
            theirs.outbound.send_frames(theirs.paths[0], packet, world.now, effects)
        batch = [Arrival(0, SERVER_END, memoryview(each.data), each.size) for each in effects.sends]
        world._carry(world.client.from_path(batch, world.now), at_client=True)
        self.assertIn(ours.paths[0].shown, ids)
        world.stream(50, 0.01, up=False)
        world.run(5.0)
        self.assertEqual((len(world.at_client), world.client.counts["stranger"]), (50, 0))
