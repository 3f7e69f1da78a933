"""What `morphnet` tells of peers and relays, asked of real processes."""

from __future__ import annotations

import json
import signal
from typing import Any

from morphnet.lab.vpn import BIN, Daemon
from tests.lab.village import VillageCase


class PeerCommandTests(VillageCase):
    """Two homes behind ordinary routers."""

    rootless = False

    def told(self, *words: str, of: Daemon | None = None, code: int = 0) -> str:
        """What a command prints on a machine (anna's, if it is not said) for people; nothing of it is too wide."""
        printed = self.printed(*words, of=of, code=code)
        self.assertLessEqual(max((len(line) for line in printed.splitlines()), default=0), 80, printed)
        return printed

    def printed(self, *words: str, of: Daemon | None = None, code: int = 0) -> str:
        """What it prints at all."""
        daemon = of or self.machines["anna"]
        command, *rest = words
        done = daemon.node.run([str(BIN / "morphnet"), command, "--dir", str(daemon.etc), *rest], timeout=30)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return str(done.stdout + done.stderr)

    def test_status(self) -> None:
        """A machine shows its relay and its peer, directly reached; the relay shows its guests."""
        self.be_direct()
        shown = self.told("status")
        self.assertIn("client anna  among peers", shown)
        self.assertIn("\nrelay 203.0.113.1  connected\n", shown)
        self.assertIn("\npeer bert  direct for ", shown)
        self.assertRegex(shown, r"\n  direct  192\.168\.1\.2:\d+ -> 198\.51\.100\.6:\d+  rtt ")
        self.assertNotIn("session", shown)
        at_relay = self.told("status", of=self.relay)
        self.assertRegex(at_relay, r"\nguest anna\n  address 198\.51\.100\.2:\d+\n  data    \S+ \w+ from it, ")
        self.assertNotIn("core", at_relay)

    def test_why(self) -> None:
        """Every decision in words, what was tried among them; an unknown name is answered with the known ones."""
        self.be_direct()
        told = self.told("why", "bert")
        self.assertRegex(told, r"\n  [\d:]{8}  searching  tried [\s\S]*198\.51\.100\.6:\d+\s+\(observed\):\s+answered")
        self.assertIn("bert is reached directly, ", told)
        words = told.splitlines()[-1]
        self.assertEqual(len(words.split()), 6)
        self.assertEqual(self.told("why", "anna", of=self.machines["bert"]).splitlines()[-1], words)
        self.assertEqual(self.told("why", "carl", code=1), "Error: there is no peer 'carl': known are bert\n")

    def test_ping(self) -> None:
        """Each answer tells its way; when UDP is swallowed that is the relay, and without any there is no answer."""
        self.be_direct()
        asked = "ping", "bert", "--count", "3", "--interval", "0.1"
        told = self.told(*asked)
        inner = self.meeting.inner("bert")
        self.assertRegex(told, rf"^(pong from bert \({inner}\) via direct 198\.51\.100\.6:\d+ in \d+\.?\d* ms\n){{3}}")
        self.assertIn("\n3 sent, 3 answered (3 direct); least ", told)
        with self.router("nat0", "udp_blocked"):
            self.until("through the relay", lambda: self.meeting.ways("anna", "bert") == "relay")
            self.assertIn(f"pong from bert ({inner}) via relay 203.0.113.1 in ", self.told(*asked))
        self.be_direct()
        self.assertIn("known are bert", self.told("ping", "carl", code=1))

    def test_for_machines(self) -> None:
        """With --json each is one object, a ping one for each line, with the numbers that the words are made of."""
        self.be_direct()
        why: dict[str, Any] = json.loads(self.printed("why", "bert", "--json"))
        self.assertEqual((why["name"], why["way"], len(why["words"])), ("bert", "direct", 6))
        self.assertEqual({*why["decisions"][-1]}, {"at", "state", "why"})
        asked = "ping", "bert", "--count", "2", "--interval", "0.1", "--json"
        for pong in map(json.loads, self.printed(*asked).splitlines()):
            self.assertEqual((pong["name"], pong["way"], pong["rtt"] > 0.03), ("bert", "direct", True))
        netcheck: dict[str, Any] = json.loads(self.printed("netcheck", "--json"))
        self.assertEqual((netcheck["name"], netcheck["ipv6"]), ("anna", False))
        self.assertEqual(netcheck["relays"][0]["name"], "203.0.113.1")

    def test_no_answer(self) -> None:
        """A peer that says nothing is a failure."""
        self.be_direct()
        bert = self.machines["bert"]
        bert.send_signal(signal.SIGSTOP)
        try:
            self.assertIn("\n1 sent, 0 answered\n", self.told("ping", "bert", "--count", "1", code=1))
        finally:
            bert.send_signal(signal.SIGCONT)
        self.be_direct()

    def test_netcheck(self) -> None:
        """The router's kind in words, and the relay with how far it is."""
        self.be_direct()
        told = self.told("netcheck")
        self.assertRegex(told, r"\nsocket eth0\n  local   192\.168\.1\.2:\d+\n  public  198\.51\.100\.2:\d+\n")
        self.assertIn("\n  IPv6    no\n  mapping none", told)
        self.assertIn("\n  NAT     same mapping for every destination\n", told)
        self.assertRegex(told, r"\nrelay 203\.0\.113\.1  rtt [\d.]+ ms  nearest\n")
        with self.router("nat0", "udp_blocked"):
            self.assertIn("\n  NAT     UDP does not pass\n", self.told("netcheck"))
        self.assertIn("Error: a relay has no ", self.told("netcheck", of=self.relay, code=1))

    def test_manhole(self) -> None:
        """`peers()` on a machine and `guests()` on the relay, from outside; draining is seen in the relay's state."""
        self.be_direct()
        self.assertRegex(self.told("console", "peers()"), r"\nbert +direct .* 198\.51\.100\.6:")
        self.assertRegex(self.told("console", "guests()", of=self.relay), r"\nanna .* 198\.51\.100\.2:")
        self.village.failed = True  # for those who come after: the relay wants to be left alone
        self.assertIn("2 node(s) were asked", self.told("console", "drain(1)", of=self.relay))
        self.assertIn("  draining  ", self.told("status", of=self.relay))
