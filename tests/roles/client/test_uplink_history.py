"""Uplinks that are gone are not forgotten."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.uplinks import Uplink
from morphnet.roles.client.uplink_history import MOST_LOST, Standing, UplinkHistory
from morphnet.status import UplinkStatus


def uplink(name: str, *, up: bool = True) -> Uplink:
    """With one address."""
    return Uplink(name, 2, up, ("10.0.0.2",), (), None, None, 1500, 100)


class UplinkHistoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.devices = Clock(), {"wan0", "wan1"}
        self.history = self.make()

    def make(self, *named: str) -> UplinkHistory:
        """Of a client whose configuration names these."""
        return UplinkHistory(named, self.clock.seconds, lambda name: name in self.devices)

    def have(self, *uplinks: Uplink) -> None:
        """A second later the machine has these."""
        self.clock.advance(1.0)
        self.history.uplinks_are(uplinks)

    def shown(self, **idle: Standing) -> list[tuple[str, str, float, str]]:
        """Name, state, since when and why, of each."""
        found = self.history.statuses(idle, lambda at: at + 1000.0)
        assert all(isinstance(each, UplinkStatus) for each in found)
        return [(each.name, each.state, each.since, each.why) for each in found]

    def test_up(self) -> None:
        """In the order of the machine, each since it is there."""
        self.have(uplink("wan1"))
        self.have(uplink("wan0"), uplink("wan1"))
        self.assertEqual(self.shown(), [("wan0", "up", 1002.0, ""), ("wan1", "up", 1001.0, "")])

    def test_others(self) -> None:
        """Whoever tells of them hears when others are up than before, the first time also that there is none."""
        wan0, wan1 = uplink("wan0"), uplink("wan1")
        told = [self.history.uplinks_are(each) for each in ((), (), (wan0,), (wan0, uplink("wan1", up=False)), (wan1,))]
        self.assertEqual(told, [[], None, ["wan0"], None, ["wan1"]])

    def test_lost(self) -> None:
        """One that has gone is lost since then, with the reason of today; with its return it is up as any other."""
        self.have(uplink("wan0"), uplink("wan1"))
        self.have(uplink("wan0", up=False), uplink("wan1"))
        reasons = [self.shown()[-1]]
        self.have(uplink("wan1"))
        reasons.append(self.shown()[-1])
        self.devices.remove("wan0")
        self.have(uplink("wan1"))
        reasons.append(self.shown()[-1])
        self.assertEqual({each[:3] for each in reasons}, {("wan0", "lost", 1002.0)})
        self.assertEqual(
            [why for *_, why in reasons],
            [
                "it is switched off, or has no carrier",
                "it has no address, or no default route",
                "there is no such device",
            ],
        )
        self.have(uplink("wan1"), uplink("wan0"))
        self.assertEqual(self.shown(), [("wan1", "up", 1001.0, ""), ("wan0", "up", 1005.0, "")])

    def test_named(self) -> None:
        """One that the configuration names is missed from the start."""
        self.history = self.make("wan0", "wwan0")
        self.have(uplink("wan1"))
        lost = [("wan0", "lost", 1000.0, "it has no address"), ("wwan0", "lost", 1000.0, "there is no such device")]
        self.assertEqual(self.shown(), [("wan1", "up", 1001.0, ""), *lost])

    def test_bounded(self) -> None:
        """Of devices without end the latest are remembered, and those that the configuration names."""
        self.history = self.make("wwan0")
        names = [f"usb{number}" for number in range(3 * MOST_LOST)]
        for name in names:
            self.have(uplink(name))
        self.have()
        lost = [name for name, state, *_ in self.shown() if state == "lost"]
        self.assertEqual(lost, ["wwan0", *names[-MOST_LOST:]])

    def test_idle(self) -> None:
        """One that is there and not used says why; when it is lost that comes first."""
        cut = Standing("cut", 0.5, "by the operator")
        self.have(uplink("wan0"), uplink("wan1"))
        self.assertEqual(self.shown(wan0=cut)[0], ("wan0", "cut", 1000.5, "by the operator"))
        self.have(uplink("wan1"))
        self.assertEqual(
            self.shown(wan0=cut)[1], ("wan0", "lost", 1002.0, "it has no address, or no default route, and is cut")
        )
