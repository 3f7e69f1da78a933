"""Who answers in the server's place is told, as long as it is so."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.uplinks import Uplink
from morphnet.roles.client.portals import Portals
from morphnet.tunnel.path import State

WLAN = Uplink("wlan0", 2, True, ("192.0.2.7",), (), "192.0.2.1", None, 1500, 600)
CABLE = replace(WLAN, name="eth0", index=3, addresses4=("198.51.100.7",))


class PortalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.portals = Portals(lambda kind, text: self.told.append((kind, text)))
        self.portals.uplinks_are([WLAN, CABLE])

    def meet(self) -> None:
        """Somebody else answers on the wireless network, each time that it is tried."""
        for _ in range(3):
            self.portals.answered("gw.example", "wlan0", False)

    def kinds(self) -> list[str]:
        """What was told."""
        return [kind for kind, _ in self.told]

    def test_met(self) -> None:
        """It is told once, with what to do, and `status` has it."""
        self.meet()
        self.assertEqual(self.kinds(), ["portal"])
        (sentence,) = self.portals.warnings()
        self.assertEqual(
            sentence,
            "wlan0: somebody else answers for gw.example (a captive portal?): open a web page there and sign in",
        )

    def test_server_answers(self) -> None:
        """It is over when the server answers by that uplink, by TCP or on a path, and not by another."""
        for answer in (
            lambda: self.portals.answered("gw.example", "wlan0", True),
            lambda: self.portals.path_is("wlan0", State.ACTIVE),
        ):
            self.told.clear()
            self.meet()
            self.portals.answered("gw.example", "eth0", True)
            self.portals.path_is("eth0", State.STANDBY)
            self.assertEqual(len(self.portals.warnings()), 1)
            answer()
            self.assertEqual((self.portals.warnings(), self.kinds()), ((), ["portal", "portal-gone"]))

    def test_uplink_is_another(self) -> None:
        """An uplink that goes, or comes to another network, has met nobody yet; one that stays has."""
        for now in ([CABLE], [replace(WLAN, addresses4=("10.1.1.7",)), CABLE], [replace(WLAN, up=False), CABLE]):
            self.portals.uplinks_are([WLAN, CABLE])
            self.meet()
            self.portals.uplinks_are([WLAN])
            self.assertEqual(len(self.portals.warnings()), 1)
            self.portals.uplinks_are(now)
            self.assertEqual(self.portals.warnings(), ())

    def test_late(self) -> None:
        """Who answers by an uplink that has gone meanwhile is forgotten at the next change of any."""
        self.portals.uplinks_are([CABLE])
        self.meet()
        self.portals.uplinks_are([replace(CABLE, addresses4=("198.51.100.8",))])
        self.assertEqual((self.portals.warnings(), self.portals.unclear([])), ((), []))

    def test_unclear(self) -> None:
        """Looked at is where somebody else answered, and where nothing works and the server has never answered."""
        self.assertEqual(self.portals.unclear(["wlan0", "eth0"]), ["wlan0", "eth0"])
        self.portals.answered("gw.example", "eth0", True)
        self.assertEqual(self.portals.unclear(["wlan0", "eth0"]), ["wlan0"])
        self.meet()
        self.assertEqual(self.portals.unclear([]), ["wlan0"])
        self.portals.works("wlan0")
        self.assertEqual(self.portals.unclear(["wlan0", "eth0"]), [])
        self.portals.uplinks_are([WLAN])
        self.assertEqual(self.portals.unclear(["wlan0", "eth0"]), ["eth0"])
        self.portals.path_is("wlan0", State.SILENT)
        self.assertEqual(self.portals.unclear(["wlan0"]), ["wlan0"])

    def test_any_uplink(self) -> None:
        """Where it is not known by which uplink a call went, nobody is warned of one."""
        self.portals.answered("gw.example", "", False)
        self.assertEqual((self.told, self.portals.warnings()), ([], ()))
