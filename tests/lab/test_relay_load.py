"""A relay under load by strangers, and what passes it: figures E1 to E3 for the relay."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from morphnet.config.roles import ECHO_PORT, RELAY_PORT
from morphnet.lab.homes import RELAYS, Home
from tests.lab.case import rest
from tests.lab.street import descriptors, final, name_for, resident
from tests.lab.village import Place, VillageCase

GROWTH = 16 << 20  # bytes, figure E1
CAME = ("lines_half_open", "callers_waiting", "callers_turned_away")  # counters of callers
CROWDED = 96 << 20  # bytes for 1024 half-open TLS connections
SNIFF = """
import socket, sys, time
ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
ear.settimeout(0.1)
print("ready", flush=True)
ends, total = time.monotonic() + float(sys.argv[1]), 0
while time.monotonic() < ends:
    try:
        total += len(ear.recv(65535))
    except TimeoutError:
        pass
print(total, flush=True)
"""


class StrangersTests(VillageCase):
    """Two machines that need the relay, and strangers at the isp."""

    rootless = False
    alone = True
    place = Place((Home("hard"), Home("hard")))

    def stranger(self, *words: object) -> subprocess.Popen[str]:
        """Start a command of tests.lab.strangers."""
        command = [sys.executable, "-m", "tests.lab.strangers", *map(str, words)]
        started: subprocess.Popen[str] = self.box.node("isp").popen(command, stdout=subprocess.PIPE, text=True)
        return started

    def counter(self, name: str) -> int:
        """Of the relay."""
        status = self.relay.status()
        return int({**status["counters"], **status["levels"]}.get(name, 0))

    def test_datagrams(self) -> None:
        """E1: ten thousand datagrams a second at the echo: nobody is answered, memory stays, traffic goes on."""
        self.until("they have met", lambda: self.all_are("relay"))
        memory, strange = resident(self.relay.pid()), self.counter("echo_strangers")
        ping = self.ping()
        flood = final(self.stranger("flood", RELAYS[0], ECHO_PORT, "--seconds", 3.0), 20.0)
        told = ping.end()
        self.assertGreater(flood["per_second"], 8000)
        self.assertEqual(flood["answers"], 0)
        self.assertLessEqual(told["lost"], told["sent"] // 50)
        self.assertLess(resident(self.relay.pid()) - memory, GROWTH)
        self.assertGreater(self.counter("echo_strangers"), strange)

    def test_knocking(self) -> None:
        """E2: one address may call five times at once and 20 times a second; those who are in do not notice."""
        self.until("they have met", lambda: self.all_are("relay"))
        limited, ping = self.counter("lines_limited"), self.ping()
        tally = final(self.stranger("knock", RELAYS[0], RELAY_PORT, "--count", 150, "--rate", 60.0), 20.0)
        self.assertLessEqual(tally["let in"], 5 + 20 * tally["seconds"] + 2)
        self.assertEqual(
            self.counter("lines_limited") - limited, tally.get("hung up", 0)
        )  # none, if the gate let them come no faster
        self.none_lost(ping.end())

    def test_half_open(self) -> None:
        """E3: two thousand who connect and say nothing: machines come and meet as ever, and all sitters are gone."""
        self.until("they have met", lambda: self.all_are("relay"))
        pid = self.relay.pid()
        files, memory = descriptors(pid), resident(pid)
        words = "--sockets", 2000, "--sources", 500, "--seconds", 30.0
        crowd = self.stranger("crowd", RELAYS[0], RELAY_PORT, *words)
        self.until("the crowd is there", lambda: sum(map(self.counter, CAME)) >= 1000)
        self.machines["bert"].stop()
        self.until("bert is gone", lambda: self.meeting.ways("anna", "bert") == "none")
        self.machines["bert"].start()
        self.until("they meet", lambda: self.all_are("relay"), within=8.0)
        self.assertLessEqual(self.counter("lines_half_open"), 1024)
        tally = final(crowd, 40.0)
        self.assertEqual(tally["left"], 0)
        self.until("all are gone", lambda: self.counter("lines_half_open") == 0)
        self.assertLess(descriptors(pid) - files, 10)
        self.assertLess(resident(pid) - memory, CROWDED)

    def test_junk(self) -> None:
        """Whatever is not TLS 1.3 with a certificate is hung up on, nothing breaks, and no stranger sees one."""
        self.until("they have met", lambda: self.all_are("relay"))
        unknown = self.counter("lines_no_knock")
        told = final(self.stranger("junk", RELAYS[0], RELAY_PORT, "--name", name_for(self.relay)), 30.0)
        ends: dict[str, Any] = told["ends"]
        self.assertEqual(ends.pop("nothing"), "left open")
        self.assertEqual({name: end for name, end in ends.items() if end in ("left open", "said nothing")}, {})
        self.assertEqual(told["shown"], ["no certificate"])  # who knocked
        self.assertEqual(self.counter("lines_no_knock") - unknown, 2)
        self.assertEqual(self.ping("--count", "20").wait()["lost"], 0)


class ProofTests(VillageCase):
    """Two homes behind ordinary routers."""

    rootless = False  # nothing of it depends on who one is

    def test_seen_at_the_relay(self) -> None:
        """While megabytes pass between two machines, nearly nothing passes the relay's own network device."""
        self.be_direct()
        rest(4.0)  # tunnel.timers.LINGER, and a bit
        fetch = self.fetch("--seconds", "6")
        rest(0.5)
        sniff = self.relay.node.popen([sys.executable, "-c", SNIFF, "5"], stdout=subprocess.PIPE, text=True)
        assert sniff.stdout is not None
        sniff.stdout.readline()
        seen = int(sniff.stdout.readline())
        sniff.stdout.close()
        final_line = fetch.wait()
        self.unbroken(final_line)
        self.assertGreater(final_line["bytes"], 4 << 20)
        self.assertLess(seen, 4 << 10)  # the echo's and the lines' signs of life
