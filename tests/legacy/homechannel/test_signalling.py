"""The original's browser client at our coordinator."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from morphnet.legacy.homechannel.signalling import MOST_KEYS, SESSION
from tests.legacy.homechannel.case import ANSWER, OFFER, WALL, Coordinator


class SignallingTests(Coordinator):
    def post(self, path: str, value: object) -> tuple[int, Any]:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.signalling.asked(path, raw, "198.51.100.1", self.now)

    def test_log_in(self) -> None:
        """A browser logs in to a server of either curve, and the signature of the answer is good."""
        for generation in ("ed25519", "ed448"):
            self.assertTrue(self.logs_in(self.server(generation)))
        self.assertEqual(len(self.signalling), 0)

    def test_first_generation(self) -> None:
        """It is listed, by its PEM; as it knows no offers a browser is told so at once."""
        browser = self.browser(self.server("p256"))
        self.assertTrue(browser.about()["online"])
        self.assertEqual(browser.connect(OFFER, WALL)[0], 500)

    def test_servers(self) -> None:
        """Those that are here, as they were asked for; what is no list is refused, and a long one is cut."""
        server = self.server()
        shown = server.curves.shown
        status, told = self.post("/api/servers", {"serverPublicKeys": ["x", shown, 7, None]})
        about = {"publicKeyHash": shown, "name": shown[:16] + "...", "online": True, "challenge": server.challenge}
        self.assertEqual((status, told), (200, {"servers": [about]}))
        self.assertEqual(self.post("/api/servers", {"serverPublicKeys": []}), (200, {"servers": []}))
        self.assertEqual(self.post("/api/servers", {"serverPublicKeys": shown})[0], 400)
        self.assertEqual(
            self.post("/api/servers", {"serverPublicKeys": ["x"] * MOST_KEYS + [shown]})[1], {"servers": []}
        )

    def test_refused(self) -> None:
        """Each trouble has the original's status."""
        server = self.server()
        browser, other = self.browser(server), self.browser(server, "wrong")
        self.assertEqual(other.connect(OFFER, WALL)[0], 403)
        self.assertEqual(browser.connect(OFFER, WALL - 60_001)[0], 400)
        self.assertEqual(browser.connect({"sdp": {}}, WALL)[0], 400)
        self.assertEqual(browser.connect([], WALL)[0], 400)
        asked = {"serverPublicKey": "A" * 60, "challengeAnswer": "x", "payload": OFFER, "timestamp": WALL}
        self.assertEqual(self.post("/api/connect", asked)[0], 404)
        for missing in asked:
            self.assertEqual(self.post("/api/connect", {**asked, missing: None})[0], 400)
        self.assertEqual([self.post("/api/poll", {})[0], self.post("/api/poll", {"sessionId": "x"})[0]], [400, 404])
        self.assertEqual([self.post("/api/poll", b"{")[0], self.post("/api/nothing", {})[0]], [400, 404])
        self.assertEqual(server.offers, [])

    def test_slow_answer(self) -> None:
        """
        The original answers the 31st request of a minute with 429, so that an answer after 14 s is lost. Here a
        browser polls each 500 ms for as long as it likes, and gets it.
        """
        server = self.server()
        browser = self.browser(server)
        session = browser.connect(OFFER, WALL)[1]["sessionId"]
        for _ in range(59):
            self.now += 0.5
            self.assertEqual(browser.poll(session), (200, {"success": False, "waiting": True}))
        server.reply(session, ANSWER)
        self.assertEqual(browser.verified(browser.poll(session)[1]), ANSWER)
        self.assertEqual(browser.poll(session)[0], 404)
        self.assertEqual([what for what, _ in self.spent].count("connect"), 1)

    def test_expired(self) -> None:
        """An offer waits for a minute."""
        server = self.server()
        browser = self.browser(server)
        session = browser.connect(OFFER, WALL)[1]["sessionId"]
        self.now += SESSION + 1
        self.assertEqual([browser.poll(session)[0], browser.poll(session)[0]], [408, 404])
        server.reply(session, ANSWER)
        self.assertEqual(self.signalling.counts["homechannel_late"], 1)
        browser.connect(OFFER, WALL)
        self.signalling.expire(self.now + 2 * SESSION)
        self.assertEqual(len(self.signalling), 0)

    def test_somebody_elses_answer(self) -> None:
        """Another server cannot answer, nor can one answer twice."""
        server, thief = self.server(), self.server()
        browser = self.browser(server)
        session = browser.connect(OFFER, WALL)[1]["sessionId"]
        thief.reply(session, {"stolen": True})
        server.reply(session, ANSWER)
        server.reply(session, {"second": True})
        self.assertEqual(browser.verified(browser.poll(session)[1]), ANSWER)
        self.assertEqual(self.signalling.counts["homechannel_late"], 2)

    def test_limited(self) -> None:
        """Who asks, offers or guesses too often gets 429; wrong answers count for the browser and for the server."""
        server = self.server()
        browser = self.browser(server)
        self.browser(server, "wrong").connect(OFFER, WALL)
        self.assertEqual([who for what, who in self.spent if what == "guess"], ["198.51.100.1", server.curves.shown])
        for what in ("guess", "connect"):
            self.limits = {what}
            self.assertEqual(browser.connect(OFFER, WALL), (429, {"error": "Too many requests"}))
        self.limits = {"ask"}
        self.assertEqual(self.post("/api/servers", {"serverPublicKeys": []})[0], 429)
        self.assertEqual(self.post("/api/poll", {"sessionId": "x"})[0], 429)

    @given(st.sampled_from(["/api/servers", "/api/connect", "/api/poll"]), st.binary(max_size=100))
    def test_garbage(self, path: str, body: bytes) -> None:
        """It is malformed."""
        self.assertEqual(self.post(path, body)[0], 400)
