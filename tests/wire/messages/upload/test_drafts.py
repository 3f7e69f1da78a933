"""Versions of the draft, as their clients see them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.messages.upload.drafts import KNOWN, NEWEST, Appends, Dialect, agrees, dialect, number


class DraftTests(SynchronousTestCase):
    def test_version(self) -> None:
        """A version that we know is spoken; who names another one, or none, hears the newest, and gets no 104."""
        for version in KNOWN:
            self.assertEqual(dialect({"upload-draft-interop-version": str(version)}), Dialect(version, True))
        for said in ("4", "7", "10", "", "x", "6 ", "9" * 40):
            self.assertEqual(dialect({"upload-draft-interop-version": said}), Dialect(NEWEST, False))

    def test_polarity(self) -> None:
        """Version 3 says whether an upload is incomplete, all others whether it is complete."""
        self.assertEqual(Dialect(3, True).flag(True), ("Upload-Incomplete", "?0"))
        self.assertEqual(Dialect(6, True).flag(True), ("Upload-Complete", "?1"))
        self.assertIs(Dialect(3, True).complete({"upload-incomplete": "?1"}), False)
        self.assertIs(Dialect(5, True).complete({"upload-complete": "?1"}), True)
        self.assertIsNone(Dialect(5, True).complete({"upload-incomplete": "?1"}))
        with self.assertRaises(ValueError):
            Dialect(8, True).complete({"upload-complete": "true"})

    def test_limit(self) -> None:
        """How long an upload is kept has another name up to version 6."""
        self.assertEqual(Dialect(6, True).limit(9, 5), "max-size=9, min-size=0, expires=5")
        self.assertEqual(Dialect(8, True).limit(9, 5), "max-size=9, min-size=0, max-age=5")
        said = "max-size=9, min-size=0, max-append-size=4, min-append-size=2"
        self.assertEqual(Dialect(9, True).limit(9, None, Appends(2, 4)), said)

    def test_number(self) -> None:
        """A count of bytes is digits."""
        self.assertEqual(number({"upload-offset": "007"}, "upload-offset"), 7)
        self.assertIsNone(number({}, "upload-offset"))
        for said in ("", "-1", "1.0", "abc", "1" * 30, "१"):
            with self.assertRaises(ValueError):
                number({"upload-offset": said}, "upload-offset")

    def test_digest(self) -> None:
        """What is told is compared, what nobody here knows is passed over, what is no digest is refused."""
        good = "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:"
        for said, fits in ((good, True), (f"md5=:AAAA:, {good}", True), (good.replace("u", "v", 1), False), ("", True)):
            self.assertEqual(agrees({"content-digest": said}, b"abc"), fits, said)
        self.assertTrue(agrees({}, b"abc"))
        for wrong in ("sha-256=abc", "sha-256=:*:", "sha-512"):
            self.assertRaises(ValueError, agrees, {"content-digest": wrong}, b"abc")
