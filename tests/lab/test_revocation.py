"""What is revoked, or has expired, with real processes: the CA's host runs a server, the relay is elsewhere."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.vpn import Daemon, Vpn, wait_for
from morphnet.pki import authority
from morphnet.pki.files import load_authority, read_key, write_certificate
from morphnet.store.ledger import DATABASE
from tests.lab.one_router import one_router
from tests.lab.scene import NOT_HERE

SERVER, RELAY = "203.0.113.1", "203.0.113.5"
HOSTS = {"server": SERVER, "meet": RELAY, "anna": "203.0.113.9", "bert": "203.0.113.13"}
MANY = 10_000
WITHIN = 5.0  # seconds
LIFE = 30  # seconds


class RevocationTests(SynchronousTestCase):
    """D18: no machine is needed that is connected to both, no list is too long, and nobody forgets."""

    skip = NOT_HERE
    timeout = 180
    rootless = False  # nothing of it depends on who one is

    def setUp(self) -> None:
        """A gateway, a relay on another host, two machines that have met; all of them are stopped at the end."""
        self.box = Box(one_router(HOSTS))
        self.box.start()
        self.addCleanup(self.box.stop)
        self.vpn = Vpn(self.box, SERVER, {"relays": [RELAY]})
        self.vpn.found()
        self.addCleanup(self.vpn.stop)
        self.server = self.vpn.server
        self.relay = Daemon(self.box.node("meet"), "morph-relay", "meet", {})
        self.relay.dir.mkdir(parents=True)
        words = ("--address", RELAY, "--out", str(self.relay.etc), "--dir", str(self.server.etc))
        self.server.morphnet("pki", "relay", "meet.example", *words)
        self.relay.start()
        self.addCleanup(self.relay.stop)
        self.anna, self.bert = (self.vpn.enrol(name, name) for name in ("anna", "bert"))

    def until(self, what: str, *holds: Any, within: float = 20.0) -> None:
        """All of that holds; who does not answer counts as not yet."""

        def tried() -> bool:
            try:
                return all(each() for each in holds)
            except OSError:
                return False

        wait_for(what, tried, within)

    def guests(self) -> list[str]:
        """Who is at the relay."""
        return [each["name"] for each in self.relay.status()["guests"]]

    def way(self, at: Daemon, of: str) -> str:
        """How one machine reaches another."""
        return next((str(each["way"]) for each in at.status()["peers"] if each["name"] == of), "")

    def obey(self) -> None:
        """Peers judge what comes from each other by the network's policy: who receives it, by certificates."""
        where = {peer["name"]: peer["inner"][0] for each in (self.anna, self.bert) for peer in each.status()["peers"]}
        (self.server.etc / "policy.toml").write_text('[[allow]]\nfrom = "anna"\nto = "bert"\nports = "icmp"\n')
        self.server.morphnet("policy", "publish", "--dir", str(self.server.etc))
        self.until(
            "both have it", *(lambda each=each: bool(each.status()["policy"]) for each in (self.anna, self.bert))
        )
        ping = ("ping", "-n", "-c1", "-W1")
        found = [
            each.node.run([*ping, where[other]]).returncode
            for each, other in ((self.anna, "bert"), (self.bert, "anna"))
        ]
        (refused,) = self.anna.status()["policy"]["refused"]
        self.assertEqual(
            (found, refused["source"], refused["target"], refused["what"]), ([0, 1], "bert", "anna", "icmp")
        )

    def revoke_many(self) -> None:
        """In the records, long ago; the server does not know yet."""
        now = int(time.time())
        rows = [(format(1 << 158 | number, "x"), f"old{number}", now + 86400, now) for number in range(MANY)]
        statement = "INSERT INTO certificate (serial, name, kind, not_after, revoked_at) VALUES (?, ?, 'client', ?, ?)"
        with closing(sqlite3.connect(self.server.etc / "state" / DATABASE, timeout=20)) as records, records:
            records.executemany(statement, rows)

    def test_everywhere(self) -> None:
        """D18: one more after 10,000 is cut off by server, relay and peers within 5 s, and stays out after restarts."""
        for each in (self.anna, self.bert):
            each.start()
        self.until("they meet", lambda: self.way(self.anna, "bert") == "direct", lambda: len(self.guests()) == 2)
        self.obey()
        self.revoke_many()
        self.server.morphnet("pki", "revoke", "old1", "--dir", str(self.server.etc))
        self.server.morphnet("pki", "revoke", "bert", "--dir", str(self.server.etc))
        self.until(
            "bert is cut off",
            lambda: [each["name"] for each in self.server.status()["sessions"]] == ["anna"],
            lambda: self.guests() == ["anna"],
            lambda: self.way(self.anna, "bert") in ("", "none"),
            within=WITHIN,
        )
        for each in (self.anna, self.server, self.relay, self.bert):
            each.stop()
        self.relay.start()  # nobody is there to tell it
        self.bert.start()
        self.until("the relay refuses bert", lambda: "revoked" in self.bert.status()["relays"][0]["state"])
        self.assertEqual(self.guests(), [])
        self.relay.stop()
        self.server.start()
        self.until("the server refuses bert", lambda: "revoked" in self.bert.status()["state"])

    def test_relay_revoked(self) -> None:
        """A relay that is revoked is left by the machines that the server has told, and not called again."""
        self.anna.start()
        self.until("anna is there", lambda: self.guests() == ["anna"])
        self.server.morphnet("pki", "revoke", "meet.example", "--dir", str(self.server.etc))
        self.until("anna has left", lambda: self.guests() == [], within=WITHIN)
        self.until("anna says why", lambda: "revoked" in self.anna.status()["relays"][0]["state"])

    def test_expired(self) -> None:
        """A session with a server, and a line to a relay, end when the certificate ends that they began with."""
        self.patch(authority, "CLIENT_LIFETIME", LIFE)
        ca, key = load_authority(self.server.etc / "pki"), read_key(self.anna.etc / "pki", "anna")
        short = ca.client(key.public_key(), "anna", now=time.time(), addresses=["10.73.0.2"])
        write_certificate(self.anna.etc / "pki", "anna", short)
        self.anna.start()
        self.until("anna is there", lambda: self.guests() == ["anna"], lambda: bool(self.server.session()))
        self.until("anna is gone", lambda: self.guests() == [], lambda: not self.server.session(), within=2 * LIFE)
        self.assertGreaterEqual(time.time(), short.not_valid_after_utc.timestamp())
