"""
Three years of a network of every role and a change of its CA, with real processes whose clocks lie: nobody is invited
anew, nobody refused.

Source: figure H10.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import SkipTest

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.homes import RELAYS, Home, homes, machine
from morphnet.lab.meeting import Meeting
from morphnet.lab.vpn import Daemon, wait_for
from morphnet.pki.authority import DAY, issuer_of, network_of
from tests.lab.scene import NOT_HERE

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), "")
NAMES = ("anna", "bert")
# Days after the founding, what the operator does then, and how many CAs are trusted afterwards.
STEPS = (
    (0, (), 1),
    (280, ("rotate",), 2),
    (560, ("rotate", "--finish"), 2),
    (840, ("rotate", "--finish"), 1),
    (1100, (), 1),
)


class YearsTests(SynchronousTestCase):
    rootless = False  # nothing of it depends on who one is
    skip = NOT_HERE

    def setUp(self) -> None:
        """
        A host with the CA, which is gateway and relay; a further relay without; a machine of the gateway and of both
        relays; one that knows the further relay alone.
        """
        if not LIBRARY:
            raise SkipTest("no faketime (Debian package faketime)")
        self.addCleanup(self._live, 0)
        self.box = Box(homes((Home(), Home()), relays=2))
        self.box.start()
        self.addCleanup(self.box.stop)
        self.meeting = Meeting(self.box, {"control-port": 9443})
        self.addCleanup(self.meeting.stop)
        self.meeting.found()
        self.server = Daemon(self.box.node("relay"), "morph-server", "meet", {})
        self.server.start()
        self.addCleanup(self.server.stop)
        self.meeting.add_relay()
        of_gateway = {"mesh-relays": RELAYS, "routes": ("10.73.0.1/32",)}
        self.anna = self.meeting.join(machine(0, 0), "anna", of_gateway)
        self.bert = self._join_at_relay("bert")

    def _join_at_relay(self, name: str) -> Daemon:
        """A machine that knows no gateway, and the further relay alone."""
        node, etc = self.box.node(machine(1, 0)), str(self.meeting.relay.etc)
        joining = self.meeting.machines[name] = Daemon(node, "morph-client", name, {"mesh-relays": RELAYS[1:]})
        invitation = str(Path(self.meeting.relay.node.dir) / f"{name}.invite")
        self.meeting.relay.morphnet("invite", name, "--dir", etc, "--file", invitation)
        joining.morphnet("join", invitation, "--server", f"{RELAYS[0]}:9443", "--dir", str(joining.etc))
        joining.start()
        return joining

    def _live(self, days: int) -> None:
        """What is started from now on lives so many days later."""
        faked = {"LD_PRELOAD": LIBRARY, "FAKETIME": f"+{days}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        for name, value in faked.items():
            if days:
                os.environ[name] = value
            else:
                os.environ.pop(name, None)

    def _daemons(self) -> tuple[Daemon, ...]:
        """Those that serve first."""
        return (self.server, self.meeting.relay, *self.meeting.others, self.anna, self.bert)

    def _restart(self, days: int) -> None:
        for daemon in reversed(self._daemons()):
            daemon.stop()
        self._live(days)
        for daemon in self._daemons():
            daemon.start()

    def _own(self, daemon: Daemon) -> x509.Certificate:
        """Its certificate on the disk."""
        return x509.load_pem_x509_certificate((daemon.etc / "pki" / f"{daemon.status()['name']}.pem").read_bytes())

    def _in_time(self, days: int) -> Callable[[], bool]:
        """Whether everybody's certificate is good for another 200 days."""
        until = time.time() + (days + 200) * DAY
        return lambda: all(self._own(each).not_valid_after_utc.timestamp() > until for each in self._daemons())

    def _all_is_well(self) -> bool:
        """The gateway serves anna, and both machines have a way to one another by the relay they share."""
        gateway = [path["state"] for each in self.anna.status()["sessions"] for path in each["paths"] if path["uplink"]]
        met = all(self.meeting.ways(*pair) in ("relay", "direct") for pair in (NAMES, NAMES[::-1]))
        return met and self.anna.status()["state"] == "connected" and "active" in gateway

    def _ends(self) -> dict[str, str]:
        return {each.name: str(self._own(each).not_valid_after_utc) for each in self._daemons()}

    def _pki(self, *words: str) -> str:
        return self.meeting.relay.morphnet("pki", *words, "--dir", str(self.meeting.relay.etc))

    def _cas(self, daemon: Daemon) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates((daemon.etc / "pki" / "ca.pem").read_bytes())

    def _trust(self, count: int) -> bool:
        """Whether each of them trusts so many CAs."""
        return all(len(self._cas(each)) == count for each in self._daemons())

    def _under_newest(self, *daemons: Daemon) -> bool:
        newest = network_of(self._cas(self.server)[0])
        return all(issuer_of(self._own(each)) == newest for each in daemons)

    def _told(self) -> list[dict[str, Any]]:
        return [each for daemon in self._daemons() for each in daemon.happenings()]

    def test_three_years(self) -> None:
        """Whatever runs now and then renews itself, by whom it can; nobody is refused, and nobody has to warn."""
        for days, words, cas in STEPS:
            if days:
                self._restart(days)
            wait_for(f"all is well on day {days}", self._all_is_well, 40.0)
            wait_for(f"all is renewed on day {days}: {self._ends()}", self._in_time(days), 40.0)
            if words:
                self._pki(*words)
                wait_for(f"all trust {cas} CA(s) from day {days} on", partial(self._trust, cas), 40.0)
                wait_for("machines are under the newest", lambda: self._under_newest(self.anna, self.bert), 40.0)
            self.assertEqual([each["text"] for each in self._told() if "refuse" in each["kind"]], [])
            self.assertEqual(
                [f"{each.name}: {told}" for each in self._daemons() for told in each.status()["warnings"]], []
            )
        self.assertTrue(self._under_newest(*self._daemons()))
        self._pki("list")
        self._live(STEPS[-1][0] + 340)  # a year in which nothing ran
        late = str(self.assertRaises(RuntimeError, self._pki, "list"))
        for name in ("meet.example", *NAMES):
            self.assertIn(f"certificate of {name} ends in ", late)
