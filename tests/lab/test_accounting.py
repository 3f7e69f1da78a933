"""What users have carried, over kills, quotas and a webhook that fails; real processes, and a real HTTP server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from morphnet.lab.vpn import INNER_SERVER
from tests.lab.case import LabCase, Ping, Plan, rest

PORT = 8090
SIZE = 1028  # bytes of an echo's IP packet
EVERY = 0.01  # seconds between echoes
INTERVAL = 10.0  # seconds of traffic that a crash may cost
KILLS = 2
SETTINGS = (
    ("accounting_webhook", f"http://127.0.0.1:{PORT}/billing"),
    ("accounting_webhook_every_s", 1),
)


class AccountingTests(LabCase):
    rootless = False
    plan: ClassVar[Plan] = Plan(server=SETTINGS)

    def setUp(self) -> None:
        super().setUp()
        place = Path(self.server.node.dir)
        self.journal, self.mode = place / "reports.journal", place / "mode"
        self.journal.touch()
        self.mode.write_text("take")
        self.receiving: subprocess.Popen[str] | None = None
        self.receive()
        self.addCleanup(self.end_receiver)

    # -- the receiver

    def receive(self) -> None:
        """Start it."""
        words = [sys.executable, "-m", "tests.lab.webhook_receiver", str(PORT), str(self.journal), str(self.mode)]
        self.receiving = self.server.node.popen(words, stdout=subprocess.PIPE, text=True)
        assert self.receiving.stdout is not None
        self.receiving.stdout.readline()
        self.receiving.stdout.close()

    def end_receiver(self) -> None:
        """As a crash would."""
        if self.receiving is not None:
            self.receiving.kill()
            self.receiving.wait()
            self.receiving = None

    def came(self) -> list[dict[str, Any]]:
        """What has come, each key once, as who sends it means it."""
        found: dict[str, dict[str, Any]] = {}
        for line in self.journal.read_text().splitlines():
            one = json.loads(line)
            known = found.setdefault(one["key"], one)
            self.assertEqual((known["path"], known["body"]), (one["path"], one["body"]))
        return list(found.values())

    def billed(self) -> tuple[int, int]:
        """Bytes to and from the laptop that it was told of."""
        bodies = [json.loads(each["body"]) for each in self.came() if each["path"] == "/billing/traffic"]
        return sum(each["traffic"] for each in bodies), sum(each["up"] for each in bodies)

    def there(self) -> int:
        """Sessions of which it was told that they are there, less those that are gone; none yet of before."""
        told = Counter(each["path"] for each in self.came())
        return told["/billing/client/add"] - told["/billing/client/subtract"]

    # -- the records

    def recorded(self) -> tuple[int, int]:
        """Bytes to and from the laptop, as `morphnet traffic` has them."""
        users = json.loads(self.server.morphnet("traffic", "--json", "--dir", str(self.server.etc)))["users"]
        months = [month for user in users if user["name"] == "laptop" for month in user["months"]]
        return sum(each["sent_bytes"] for each in months), sum(each["received_bytes"] for each in months)

    def echoes(self) -> Ping:
        return self.ping("--size", str(SIZE - 28))

    def payload(self) -> tuple[int, int]:
        """Bytes to and from the laptop that this process has counted for its session."""
        counters = self.server.session()["counters"]
        return counters.get("payload_sent", 0), counters.get("payload_received", 0)

    # -- claims

    def test_killed(self) -> None:
        """`kill -9` at any moment takes no more than an interval with it, and nothing is counted twice."""
        begun = self.recorded()
        self.server.stop()
        kept = self.recorded()
        self.server.start()
        self.both_active()
        ping, carried = self.echoes(), [0, 0]
        for turn in range(KILLS):
            rest(6.0 + turn * 2.7)
            counted = self.payload()
            self.server.kill()
            before, kept = kept, self.recorded()
            for way in (0, 1):
                missing = counted[way] - (kept[way] - before[way])
                self.assertTrue(0 <= missing + SIZE * 20 <= SIZE * (INTERVAL / EVERY + 20), (turn, way, missing))
                self.assertLess(missing, counted[way], (turn, way))
                carried[way] += counted[way]
            self.server.start()
            self.both_active()
        ping.end()
        self.server.stop()
        self.assertGreater(min(carried), SIZE * KILLS * 300)
        self.assertGreater(self.recorded(), begun)
        self.server.start()

    def test_stopped(self) -> None:
        """Told to end, it has written down all: what an undisturbed transfer has carried, to the byte."""
        self.server.stop()
        before = self.recorded()
        self.server.start()
        self.both_active()
        ping = self.echoes()
        rest(1.0)
        final = ping.end()
        counted = self.payload()
        self.server.stop()
        after = self.recorded()
        moved = after[0] - before[0], after[1] - before[1]
        self.assertEqual(final["lost"], 0)
        self.assertGreaterEqual(min(moved), final["sent"] * SIZE)
        for way in (0, 1):
            self.assertTrue(counted[way] <= moved[way] <= counted[way] + 10_000, (counted, moved))
        self.server.start()

    def test_webhook(self) -> None:
        """A receiver that fails, hangs, hangs up, dies and comes back, and a server that is killed: each byte once."""
        self.until("it has all of before", lambda: self.level() == 0 and self.billed() == self.recorded(), 30.0)
        ping = self.echoes()
        for mode in ("fail", "drop", "hang"):
            self.met(mode)
        self.end_receiver()
        rest(1.0)
        self.server.kill()
        self.server.start()
        self.both_active()
        self.receive()
        self.met("drop")
        self.mode.write_text("take")
        ping.end()
        self.until("it has all", lambda: self.level() == 0 and self.billed() == self.recorded(), 60.0)
        self.assertEqual(self.there(), 1)
        again = len(self.lines()) - len(self.came())
        self.assertGreaterEqual(again, 4)

    def met(self, mode: str) -> None:
        """The receiver does that, until something has met it."""
        before = len(self.lines())
        self.mode.write_text(mode)
        self.until(f"something meets {mode!r}", lambda: len(self.lines()) > before)

    def lines(self) -> list[str]:
        """All that has come, in order."""
        return self.journal.read_text().splitlines()

    def level(self) -> int:
        """Reports that wait."""
        return int(self.server.status()["levels"].get("webhook_waiting", 0))

    def test_quota(self) -> None:
        """
        When it is used up the session ends with an event, and the client is told why it is refused; then more. The
        receiver has had all four calls by then.
        """
        self.until("it is told that the session is there", lambda: self.level() == 0 and self.there() == 1)
        used = sum(self.recorded())
        toml = self.server.etc / "server.toml"
        limit = used + 300_000
        self.set_quota(limit)
        last = self.last_happening(self.server)
        ping = self.echoes()
        self.until("it is over", lambda: "quota" in {each["kind"] for each in self.server.happenings(last)}, 30.0)
        self.until("the client says why", lambda: "is used up" in str(self.client.status()), 10.0)
        self.assertEqual(self.server.session(), {})
        self.until("it is told that it is over", lambda: self.there() == 0)
        calls = {each["path"].removeprefix("/billing") for each in self.came()}
        self.assertEqual(calls, {"/server", "/client/add", "/client/subtract", "/traffic"})
        ping.end()
        self.until("it is written", lambda: limit <= sum(self.recorded()) < limit + 4 * 200 * SIZE, 10.0)
        self.set_quota(None)
        self.client.stop()  # it would ask again in ten minutes
        self.client.start()
        self.both_active()
        self.breathes(INNER_SERVER)
        self.assertTrue(toml.exists())

    def set_quota(self, octets: int | None) -> None:
        """While it runs."""
        value = "" if octets is None else str(octets)
        told = self.server.morphnet("set", "accounting.quota", value, "--dir", str(self.server.etc), "--role", "server")
        self.assertIn("applied", told)
