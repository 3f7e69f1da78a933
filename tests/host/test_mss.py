"""The MSS of forwarded TCP."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host import nft
from morphnet.host.mss import clamp_chain, clamp_mss
from morphnet.host.netlink import messages


class ClampTests(SynchronousTestCase):
    def test_ways(self) -> None:
        """What comes by the TUN is clamped, and what goes there."""
        chain, *rules = clamp_chain("morphnet_morph0", "morph0")
        self.assertEqual([kind & 0xFF for kind, _, _ in messages(chain)], [3])
        self.assertEqual([nft.device(key, "morph0") + clamp_mss() in rule for key, rule in
                          zip((nft.IIFNAME, nft.OIFNAME), rules, strict=True)], [True, True])  # fmt: skip

    def test_expressions(self) -> None:
        """Byte for byte what nft 1.0.6 makes of the same words (nft --debug=mnl)."""
        size = (
            "3c0001800b00010065787468647200002c0002800800070000000001"
            "0500020002000000080003000000000208000400000000020800060000000001"
        )
        self.assertTrue(clamp_mss().hex().endswith(size))
