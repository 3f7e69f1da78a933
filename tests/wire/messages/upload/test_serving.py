"""How files are given out."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.messages.upload.serving import BINARY, Part, clean_kind, same, shown_as, wanted


class ServingTests(SynchronousTestCase):
    def test_ranges(self) -> None:
        """A range is answered as RFC 9110 has it; what is none stands for the whole."""
        for said, part in (
            ("bytes=0-9", Part(0, 10)),
            ("bytes=90-", Part(90, 10)),
            ("bytes=-5", Part(95, 5)),
            ("bytes=-500", Part(0, 100)),
            ("bytes=50-500", Part(50, 50)),
            ("bytes=5-4", None),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
            ("bytes=-", None),
        ):
            self.assertEqual(wanted(said, 100), part, said)
        for said in ("bytes=100-", "bytes=-0", "bytes=200-300"):
            with self.assertRaises(ValueError):
                wanted(said, 100)

    def test_safe(self) -> None:
        """Only what can do nothing is shown in place; all else is saved."""
        for kind in ("image/png", "video/mp4", "audio/ogg", "text/plain"):
            self.assertTrue(shown_as(kind, "x")["Content-Disposition"].startswith("inline;"))
        for kind in ("text/html", "image/svg+xml", "application/pdf", "application/xhtml+xml", BINARY):
            self.assertTrue(shown_as(kind, "x")["Content-Disposition"].startswith("attachment;"))

    def test_kind(self) -> None:
        """What is no media type is bytes."""
        self.assertEqual(clean_kind("Text/Plain; charset=x"), "text/plain")
        for said in ("", "x", "a/b/c", "a/b\r\nX: y", "text/", "é/é"):
            self.assertEqual(clean_kind(said), BINARY)

    @settings(max_examples=500)
    @given(st.text(max_size=80))
    def test_hostile_names(self, name: str) -> None:
        """No name of a file leaves its header."""
        said = shown_as("image/png", name)["Content-Disposition"]
        self.assertRegex(said, r"\Ainline; filename\*=UTF-8''[\w!#$&+.^`|~%-]*\Z")

    def test_same(self) -> None:
        """An ETag is found in a list of them."""
        self.assertTrue(same('"a", W/"b"', '"b"') and same("*", '"b"'))
        self.assertFalse(same('"a"', '"b"'))
