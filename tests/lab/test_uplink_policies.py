"""Uplinks that are to be used in another way than others; figure B6."""

from __future__ import annotations

import re
import struct
import time
from pathlib import Path
from typing import Any

from tests.lab.case import LabCase, rest

FLAT = 20_000  # bytes, either way, that a path which carries nothing may cost in what a test lasts
_GLOBAL, _RECORD = 24, struct.Struct("=IIII")


def carried_frames(path: Path) -> list[bytes]:
    """Frames of a capture that are TCP or UDP: what the kernel sends to find its neighbours is none."""
    data, at, found = path.read_bytes(), _GLOBAL, []
    while at + _RECORD.size <= len(data):
        size = _RECORD.unpack_from(data, at)[2]
        frame, at = data[at + _RECORD.size : at + _RECORD.size + size], at + _RECORD.size + size
        kind, protocol = frame[12:14], frame[23:24] if frame[12:14] == b"\x08\x00" else frame[20:21]
        if kind in (b"\x08\x00", b"\x86\xdd") and protocol in (b"\x06", b"\x11"):
            found.append(frame)
    return found


class UplinkPolicyTests(LabCase):
    """Two uplinks of 20 Mbit/s, of which one is to be spared."""

    rootless = False

    def setUp(self) -> None:
        super().setUp()
        self.settings = self.client.etc / "client.toml"
        before = self.settings.read_text()
        self.addCleanup(self.set, "", before)

    def set(self, sections: str, before: str | None = None) -> None:
        """Have these sections in the client's settings, and the client read them."""
        text = before if before is not None else self.settings.read_text()
        self.settings.write_text(f"{text}\n{sections}")
        self.client.ask({"ask": "reload"})

    def use_as(self, uplink: str, use: str) -> str:
        """As an operator says it."""
        return str(self.client.ask({"ask": "uplink", "name": uplink, "use": use})["done"])

    def uplink(self, name: str) -> dict[str, Any]:
        """What `status` says of it."""
        return next(each for each in self.client.status()["uplinks"] if each["name"] == name)

    def octets(self, name: str) -> int:
        """Bytes that its wire has carried, both ways."""
        counters = self.box.wire(name).counters()
        return sum(int(counters[way]["bytes"]) for way in ("there", "back"))

    def is_flat(self, name: str, seconds: float = 1.0) -> bool:
        """Whether next to nothing goes by it."""
        before = self.octets(name)
        rest(seconds)
        return self.octets(name) - before < FLAT

    def events(self, kind: str) -> list[str]:
        """What was told of that kind."""
        return [each["text"] for each in self.client.happenings() if each["kind"] == kind]

    def test_backup(self) -> None:
        """A backup carries nothing, either way, until the other one is dead, and gives back: no packet is lost."""
        said = self.client.morphnet("uplink", "wan1", "backup", "--dir", str(self.client.etc))
        self.assertEqual(said, "uplink wan1 is backup now\n")
        rest(0.5)
        ping, down, up = self.ping(), self.fetch(), self.fetch("--upload")
        rest(0.5)
        self.assertTrue(self.is_flat("wan1"))
        self.assertEqual(self.state_of("wan1"), "active")
        before = self.octets("wan1")
        self.box.wire("wan0").black_hole()
        self.until("it carries", lambda: self.octets("wan1") - before > 500_000)
        self.box.wire("wan0").heal()
        self.both_active()
        rest(0.5)
        self.assertTrue(self.is_flat("wan1"))
        for each in (down, up):
            self.unbroken(each.end())
        self.lost_at_most(ping.end(), 0)
        self.use_as("wan1", "default")

    def test_never(self) -> None:
        """One that is never to be used sees not a packet of ours, whatever happens to the other, a restart or not."""
        ping = self.ping()
        self.use_as("wan0", "never")
        self.until("it is left", lambda: "wan0" not in self.client.states())
        self.until("the link is elsewhere", lambda: self.client.session()["control"] == "up")
        self.lost_at_most(ping.end(), 0)
        rest(0.5)
        captured = Path(self.client.dir) / "never.pcap"
        self.box.wire("wan0").capture(str(captured))
        self.breathes()
        self.client.kill()
        self.client.start()
        self.until("it works again", lambda: self.client.states() == {"wan1": "active"})
        self.breathes()
        self.box.wire("wan1").black_hole()
        rest(1.0)
        self.box.wire("wan1").heal()
        self.until("it works again", lambda: self.client.states() == {"wan1": "active"})
        self.box.wire("wan0").counters()
        self.assertEqual(carried_frames(captured), [])
        self.assertEqual((self.uplink("wan0")["state"], self.uplink("wan0")["use"]), ("never", "never"))
        self.use_as("wan0", "default")
        self.both_active()
        self.box.wire("wan0").counters()
        self.assertGreater(len(carried_frames(captured)), 0)
        self.box.wire("wan0").capture(None)

    def test_cap(self) -> None:
        """B6: at its cap, under load, an uplink is left without a lost packet, told once, and so it stays."""
        ping, down = self.ping(), self.fetch()
        self.set('[uplinks."*1"]\ncap = "2 MB"\n')
        self.until("it is demoted", lambda: self.uplink("wan1")["use"] == "last")
        rest(0.5)
        self.assertTrue(self.is_flat("wan1"))
        self.unbroken(down.end())
        self.lost_at_most(ping.end(), 0)
        (told,) = self.events("uplink-cap")
        self.assertRegex(told, r"the cap of wan1, 2.00 MB, is reached")
        self.client.kill()
        self.client.start()
        self.both_active()
        self.assertGreaterEqual(self.uplink("wan1")["carried_bytes"], 2_000_000)
        self.assertEqual((self.uplink("wan1")["use"], self.events("uplink-cap")), ("last", []))
        down = self.fetch()
        self.assertTrue(self.is_flat("wan1"))
        down.end()
        shown = self.client.morphnet("status", "--dir", str(self.client.etc))
        self.assertTrue(re.search(r"wan1: last \(its cap of 2.00 MB is reached\)", " ".join(shown.split())), shown)
        self.use_as("wan1", "recount")

    def test_rate(self) -> None:
        """
        A bound holds within 5 %, both ways at once, each its own. How much of it TCP takes is up to this machine's
        processor, too; that a sender uses it within 5 % is in tests.tunnel.test_terms.
        """
        self.set('[uplinks.wan0]\nrate_up = "4 Mbit/s"\nrate_down = "8 Mbit/s"\n[uplinks.wan1]\nbackup = true\n')
        loads = self.fetch("--upload"), self.fetch()
        rest(1.0)
        first, began = self.box.wire("wan0").counters(), time.monotonic()
        rest(2.5)
        last, ended = self.box.wire("wan0").counters(), time.monotonic()
        for way, rate in (("there", 4e6), ("back", 8e6)):
            told = (last[way]["bytes"] - first[way]["bytes"]) * 8 / (ended - began)
            self.assertTrue(0.8 < told / rate < 1.05, (way, told))
        for each in loads:
            self.unbroken(each.end())
