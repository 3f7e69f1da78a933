"""Slots as Prosody and ejabberd sign them, and all that is none."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.messages.upload.slots import (
    UNKNOWN,
    Claim,
    Slot,
    SlotRefused,
    jwt,
    mac_bearer,
    mac_v1,
    mac_v2,
    mac_v3,
    told_path,
    verified,
)

SECRET = b"secret string"
NOW = 1_700_000_000.0
CLAIMS = {
    "sub": "a@x", "exp": NOW + 300, "slot": "s1", "expires": NOW + 600, "filename": "f g.txt", "filesize": 10,
    "filetype": "text/plain",
}  # fmt: skip


class SlotTests(SynchronousTestCase):
    def slot(self, path: str, size: int, kind: str = "", authorization: str = "", **query: str) -> Slot:
        claim = Claim("PUT", path, query, authorization, size, kind)
        return verified(claim, [b"the new secret", SECRET], NOW)

    def refused(self, status: int, path: str, size: int, **more: str) -> None:
        with self.assertRaises(SlotRefused) as caught:
            self.slot(path, size, **more)
        self.assertEqual(caught.exception.status, status, caught.exception.reason)

    def test_vectors(self) -> None:
        """The macs of v1, v2 and v3 are those that other implementations come to."""
        v1 = "e6df55a04516617d6a86ad6ca23879819591085a1a8c0041f4da06824f5d2db7"
        v2 = "a19d27add075aa60035e27c05e794f13079ba48c508852b3d7160a6bec0f85ab"
        v3 = "f3440a52f9e7327d3686bae61f90b4bcac95b0020c2e58808bac7198e2bff25e"
        self.assertEqual(mac_v1(SECRET, "foo/bar.jpg", 1048576), v1)
        self.assertEqual(mac_v2(SECRET, "foo/bar.jpg", 1048576, "image/jpeg"), v2)
        self.assertEqual(mac_v3(SECRET, "PUT", "u/d/pic.png", "1700000000"), v3)
        self.assertEqual(self.slot("foo/bar.jpg", 1048576, v=v1).scheme, "v1")
        self.assertEqual(self.slot("foo/bar.jpg", 1048576, "image/jpeg", v2=v2).kind, "image/jpeg")
        self.assertEqual(self.slot("u/d/pic.png", UNKNOWN, v3=v3, expires="1700000000").opens_until, NOW)

    def test_covered(self) -> None:
        """Another name, size, type or expiry than the signed one is refused, and so is a path alone."""
        v1, v2 = mac_v1(SECRET, "a/ä b", 5), mac_v2(SECRET, "a/b", 5, "image/png")
        self.slot("a/ä b", 5, v=v1)
        self.refused(403, "a/ä b", 6, v=v1)
        self.refused(403, "a/c", 5, v=v1)
        self.refused(411, "a/ä b", UNKNOWN, v=v1)
        self.refused(403, "a/b", 5, v2=v2, kind="text/html")
        self.refused(403, "a/b", 5, v2=v1)
        self.refused(403, "a/b", 5, v3=mac_v3(SECRET, "PUT", "a/b", "1800000000"), expires="1800000001")
        self.refused(410, "a/b", 5, v3=mac_v3(SECRET, "PUT", "a/b", "1600000000"), expires="1600000000")
        self.refused(403, "a/b", 5, token=v1)
        self.assertEqual(self.slot("a/b", 5, "image/png", token=v2).scheme, "v2")
        self.refused(403, "a/b", 5, v3=mac_v3(SECRET, "PUT", "a/b", "1800000000"))
        self.refused(401, "a/b", 5)

    def test_jwt(self) -> None:
        """A token of mod_http_file_share tells file, size, type and user, and is good for no other file."""
        good = "Bearer " + jwt(SECRET, CLAIMS)
        slot = self.slot("s1/f g.txt", UNKNOWN, authorization=good)
        self.assertEqual((slot.size, slot.user, slot.kind, slot.lasts_until), (10, "a@x", "text/plain", NOW + 600))
        self.refused(400, "s1/other", 10, authorization=good)
        self.refused(413, "s1/f g.txt", 11, authorization=good)
        self.refused(410, "s1/f g.txt", 10, authorization="Bearer " + jwt(SECRET, {**CLAIMS, "expires": NOW - 1}))
        for size in (True, -1, "10", 1.5, None):
            self.refused(401, "s1/f g.txt", 10, authorization="Bearer " + jwt(SECRET, {**CLAIMS, "filesize": size}))

    def test_forged(self) -> None:
        """What is signed with another secret, or with none, or is no token at all, is refused."""
        good = jwt(SECRET, CLAIMS)
        head, body, _ = good.split(".")
        none = "eyJhbGciOiJub25lIn0." + body + "."
        for token in (
            jwt(b"other", CLAIMS),
            none,
            f"{head}.{body}.",
            f"{head}.{body}.AAAA",
            "",
            ".",
            "ä.ä.ä",
            "A" * 9000,
        ):
            self.refused(401, "s1/f g.txt", 10, authorization=f"Bearer {token}")

    def bearers(self, until: int, size: int = 10, user: str = "alice@example.org") -> list[str]:
        """Each form of hmac-file-server's; its last two cover no expiry, or no file."""
        about = (user, "doc.bin", size)
        times: list[tuple[str | int, ...]] = [
            (*about, until - each, until, "network_resilient") for each in (86400, 14400)
        ]
        times += [(*about, until, "S1"), (*about, until - 3600), about, (user, until)]
        return [mac_bearer(SECRET, *each) for each in times]

    def test_bearer(self) -> None:
        """hmac-file-server's bearers are those that it computes; the four are good that cover file and expiry."""
        vectors = ["uCOWuIteu08u/RN25odw+xaeM/8zubFN7REpLl0Hqjc=", "r8BE5VNOUC7QGswA7qKGdMAP/N28h6F8bmTzhP3H7FU=",
                   "7QFcDmuvn0pOJlrrRS/rwZxPR0qFq8Rnrdey5bEF+rY=", "wrXEcLUZ5F7r+RnsJnc82AEHV50ZacPrS3uNAuQGyDQ=",
                   "J+yJdffvnbO1Fxt930nB/waz8PT3z6xV1q31GU/eqTc="]  # fmt: skip
        self.assertEqual(self.bearers(1_700_086_400)[0], vectors[0])
        self.assertEqual(self.bearers(1_700_003_600)[2:], vectors[1:])
        until = int(NOW) + 60
        tokens = self.bearers(until)
        query = {"user": "alice@example.org", "expiry": str(until), "session_id": "S1"}
        for token in tokens[:4]:
            for said in ({"authorization": f"Bearer {token}"}, {"token": token.replace("+", " ")}):
                slot = self.slot("any/doc.bin", 10, "text/html", **query, **said)
                self.assertEqual((slot.scheme, slot.size, slot.user, slot.kind), ("bearer", 10, query["user"], ""))
                self.assertEqual((slot.opens_until, slot.lasts_until), (until, until + 86400))
            good = {"authorization": f"Bearer {token}"}
            self.refused(403, "any/doc.txt", 10, **query, **good)
            self.refused(403, "any/doc.bin", 11, **query, **good)
            self.refused(411, "any/doc.bin", UNKNOWN, **query, **good)
            self.refused(403, "any/doc.bin", 10, **{**query, "user": "mallory@example.org"}, **good)
            self.refused(403, "any/doc.bin", 10, **{**query, "expiry": str(until + 1)}, **good)
            for path in ("doc.bin", "/doc.bin", "a/b/doc.bin"):
                self.refused(400, path, 10, **query, **good)
            self.refused(401, "any/doc.bin", 10, **good)
        for token in (*tokens[4:], mac_bearer(b"other", "x"), "", "x"):
            self.refused(403, "any/doc.bin", 10, **query, authorization=f"Bearer {token}")
        self.refused(403, "any/doc.bin", 10, **{**query, "session_id": "S2"}, token=tokens[2])
        over = int(NOW) - 86401
        self.refused(410, "any/doc.bin", 10, **{**query, "expiry": str(over)}, token=self.bearers(over)[0])

    def test_one_as_another(self) -> None:
        """No signature of one scheme is one of another: what they are joined by is in no name, type or user."""
        until = str(int(NOW) + 60)
        query = {"user": "a@x", "expiry": until}
        six = mac_bearer(SECRET, "a@x", "f", 10, int(until) - 86400, until, "network_resilient")
        for user in ("a@x\0f", "a@x f", "upload session"):
            self.refused(403, "s/f", 10, **{**query, "user": user}, token=six)
        hexed = mac_v2(SECRET, "a@x", 12, "10\0001700000000")
        self.refused(400, "a@x", 12, kind="10\0001700000000", v2=hexed)
        self.refused(400, "PUT\n1800000000\n/s/f", 3, v=mac_v3(SECRET, "PUT", "s/f 3", "1800000000"))

    def test_rotation(self) -> None:
        """Old and new secret are good in each scheme, and a third one in none."""
        until = int(NOW) + 60
        for number, secret in enumerate((b"the new secret", SECRET, b"neither")):
            for query in (
                {"v": mac_v1(secret, "s/f", 10)},
                {"v2": mac_v2(secret, "s/f", 10, "a/b")},
                {"token": mac_v2(secret, "s/f", 10, "a/b")},
                {"v3": mac_v3(secret, "PUT", "s/f", str(until)), "expires": str(until)},
                {"token": mac_bearer(secret, "a@x", "f", 10, until - 3600), "user": "a@x", "expiry": str(until)},
                {"authorization": f"Bearer {jwt(secret, {**CLAIMS, 'slot': 's', 'filename': 'f'})}"},
            ):
                if number < 2:
                    self.assertEqual(self.slot("s/f", 10, "a/b", **query).path, "s/f")
                else:
                    self.refused(401 if "authorization" in query else 403, "s/f", 10, kind="a/b", **query)

    def test_goes_on(self) -> None:
        """A slot that does not say how long an upload may go on is good for a day after its end, and no longer."""
        claims = {key: value for key, value in CLAIMS.items() if key != "expires"}
        for ago, good in ((0, True), (86399, True), (86401, False)):
            end = int(NOW) - ago
            query = {"v3": mac_v3(SECRET, "PUT", "s1/f g.txt", str(end)), "expires": str(end)}
            token = {"authorization": f"Bearer {jwt(SECRET, {**claims, 'exp': end})}"}
            for said in (query, token):
                if good:
                    self.assertEqual(self.slot("s1/f g.txt", 10, **said).lasts_until, end + 86400)
                else:
                    self.refused(410, "s1/f g.txt", 10, **said)

    def test_told_path(self) -> None:
        """What a token says of its path, whoever has signed it; what says nothing is refused."""
        self.assertEqual(told_path(f"Bearer {jwt(b'any', CLAIMS)}"), "s1/f g.txt")
        for said in ("", "Basic x", "Bearer", "Bearer a", "Bearer a.b.c", "Bearer .e30.", "Bearer .W10.", "Bearer .ä.",
                     f"Bearer {jwt(b'any', {'slot': 1, 'filename': []})}", "Bearer " + "[" * 9000):  # fmt: skip
            with self.assertRaises(SlotRefused) as caught:
                told_path(said)
            self.assertEqual(caught.exception.status, 401)
