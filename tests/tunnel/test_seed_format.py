"""All that holds of sessions holds in the format `seed` too."""

from __future__ import annotations

from tests.simulation import SpeaksSeed
from tests.tunnel import test_low_bits, test_outbound, test_restart, test_session, test_tunnel
from tests.tunnel.test_tunnel import arrive


class NonceTests(SpeaksSeed, test_outbound.NonceTests):
    pass


class BoundTests(SpeaksSeed, test_outbound.BoundTests):
    pass


class SuperPacketTests(SpeaksSeed, test_outbound.SuperPacketTests):
    pass


class NarrowPathTests(SpeaksSeed, test_outbound.NarrowPathTests):
    pass


class CompressionTests(SpeaksSeed, test_outbound.CompressionTests):
    pass


class MoveTests(SpeaksSeed, test_session.MoveTests):
    pass


class PathTests(SpeaksSeed, test_session.PathTests):
    pass


class RekeyTests(SpeaksSeed, test_session.RekeyTests):
    def test_nonces(self) -> None:
        """Under one key no nonce comes twice (D5)."""
        for scheduler in ("bond", "redundant"):
            self.move_about(scheduler, 5)


class RestartTests(SpeaksSeed, test_restart.RestartTests):
    pass


class LowBitsTests(SpeaksSeed, test_low_bits.LowBitsTests):
    pass


class SwitchTests(SpeaksSeed, test_session.SwitchTests):
    pass


class ReplayTests(SpeaksSeed, test_tunnel.ReplayTests):
    pass


class ForgeryTests(SpeaksSeed, test_tunnel.ForgeryTests):
    def test_wrong_session_id(self) -> None:
        """A ClientID with another session id than it was issued with does not pass."""
        bent = bytearray(self.datagram)
        bent[18:22] = bytes(4)
        arrive(self.scene, bytes(bent))
        self.assertEqual(self.scene.server.counts["malformed"], 1)
