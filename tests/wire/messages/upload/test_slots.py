"""Slots as Prosody and ejabberd sign them, and all that is none."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.messages.upload.slots import (
    UNKNOWN,
    Claim,
    Slot,
    SlotRefused,
    jwt,
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
        self.assertEqual(self.slot("u/d/pic.png", UNKNOWN, v3=v3, expires="1700000000").lasts_until, NOW)

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

    def test_told_path(self) -> None:
        """What a token says of its path, whoever has signed it; what says nothing is refused."""
        self.assertEqual(told_path(f"Bearer {jwt(b'any', CLAIMS)}"), "s1/f g.txt")
        for said in ("", "Basic x", "Bearer", "Bearer a", "Bearer a.b.c", "Bearer .e30.", "Bearer .W10.", "Bearer .ä.",
                     f"Bearer {jwt(b'any', {'slot': 1, 'filename': []})}", "Bearer " + "[" * 9000):  # fmt: skip
            with self.assertRaises(SlotRefused) as caught:
                told_path(said)
            self.assertEqual(caught.exception.status, 401)
