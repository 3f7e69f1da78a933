"""Peers are known by name: `ping nas` works, in a box with two homes."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.homes import Home, homes
from morphnet.lab.meeting import Meeting
from morphnet.lab.vpn import Daemon, wait_for
from tests.lab.case import Ping
from tests.lab.scene import NOT_HERE

OWN = "127.0.0.1 localhost\n192.168.1.7 printer"  # no end of line
WITHIN = 5.0  # seconds from a session to a name


class NamesTests(SynchronousTestCase):
    """Two machines behind NATs, met at a relay."""

    rootless = False

    skip = NOT_HERE
    timeout = 120

    def setUp(self) -> None:
        self.box = Box(homes([Home("easy"), Home("easy")]))
        self.box.start()
        self.addCleanup(self.box.stop)
        self.hosts.write_text(OWN)
        self.meeting = Meeting(self.box)
        self.addCleanup(self.meeting.stop)
        self.meeting.found()
        self.anna = self.meeting.join("m0", "anna")
        self.bert = self.meeting.join("m1", "bert")
        self.meeting.wait_met(["anna", "bert"])

    @property
    def hosts(self) -> Path:
        """The file of names where anna is."""
        return Path(self.box.node("m0").dir) / "hosts"

    def known(self, name: str, at: Daemon) -> set[str]:
        """The addresses that any program of that machine finds for a name."""
        found = at.node.run(["getent", "ahosts", name]).stdout.splitlines()
        return {line.split()[0] for line in found}

    def wait_known(self, name: str, at: Daemon) -> set[str]:
        wait_for(f"{at.name} knows {name}", lambda: bool(self.known(name, at)), WITHIN)
        return self.known(name, at)

    def test_known(self) -> None:
        """By both addresses, and reached by name; what else the file has stays, and after a stop it is as before."""
        self.assertEqual(self.wait_known("bert", self.anna), set(self.meeting.peer("anna", "bert")["inner"]))
        self.assertIn(self.meeting.inner("anna"), self.wait_known("anna", self.bert))
        self.assertEqual(self.known("printer", self.anna), {"192.168.1.7"})
        self.assertEqual(Ping(self.anna.node, "bert", "--count", "5").wait()["lost"], 0)
        inode, written = os.stat(self.hosts).st_ino, self.hosts.read_text()
        self.assertTrue(written.startswith(OWN + "\n# morphnet begin\n"), written)
        self.hosts.write_text(written + "192.168.1.8 scanner\n")
        self.anna.stop()
        self.assertEqual(self.known("bert", self.anna), set())
        self.assertEqual(self.hosts.read_text(), OWN + "\n192.168.1.8 scanner\n")
        self.assertEqual(os.stat(self.hosts).st_ino, inode)

    def test_killed(self) -> None:
        """After kill -9 the next start leaves the file as it was, before any peer is met; the next meeting names it."""
        inner = self.wait_known("bert", self.anna)
        self.anna.kill()
        self.assertEqual(self.known("bert", self.anna), inner)
        self.bert.stop()
        self.anna.start()
        self.assertEqual((self.known("bert", self.anna), self.hosts.read_text()), (set(), OWN))
        self.bert.start()
        self.meeting.wait_met(["anna", "bert"])
        self.assertEqual(self.wait_known("bert", self.anna), inner)
        self.anna.stop()
        self.assertEqual(self.hosts.read_text(), OWN)
