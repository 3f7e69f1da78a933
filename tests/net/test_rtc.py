"""The WebRTC door, as far as it is the same for every make: tests/net/rtc_case has what each of them does."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from morphnet.errors import Refused
from morphnet.net import rtc
from morphnet.net.rtc import RtcDoor, plain
from tests.net.rtc_case import Home


class OfferTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """Names that nobody here can resolve are left out, addresses stay."""
        offer = (
            "v=0\r\na=setup:actpass\r\na=candidate:1 1 udp 2113937151 1d16dfcb.local 37564 typ host\r\n"
            "a=candidate:2 1 udp 1677729535 198.51.100.10 37564 typ srflx raddr 0.0.0.0 rport 0\r\n"
        )
        self.assertEqual(
            plain(offer).splitlines(),
            [
                "v=0",
                "a=setup:actpass",
                "a=candidate:2 1 udp 1677729535 198.51.100.10 37564 typ srflx raddr 0.0.0.0 rport 0",
            ],
        )


class MostTests(TestCase):
    async def test_most(self) -> None:
        """There is an end to how many processes offers begin."""
        self.patch(rtc, "MOST", 0)
        door = RtcDoor("none", (), reactor)
        with self.assertRaisesRegex(Refused, "too many"):
            await door.answer("v=0", Home())
        await door.close()


class RefusedTests(TestCase):
    """A make that cannot even begin."""

    async def test_ends_at_once(self) -> None:
        """Its process ends at once: offers are refused, for a reason that the browser is told."""
        door = RtcDoor("none", (), reactor)
        for _ in range(2):
            with self.assertRaises(Refused):
                await door.answer("v=0", Home())
        await door.close()
