"""Headers of tus."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.messages.upload import tus
from morphnet.wire.messages.upload.tus import checksum, metadata


class TusTests(SynchronousTestCase):
    def test_checksum(self) -> None:
        """The digest that the protocol's own example gives is that of its bytes."""
        said = checksum("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")
        self.assertTrue(said.fits(b"hello world"))
        self.assertFalse(said.fits(b"hello worle"))

    def test_no_checksum(self) -> None:
        """What is not a digest of a known algorithm is refused."""
        for said in ("", "sha1", "sha1 x", "crc32 AAAA", "sha1 AAAA", "SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="):
            with self.assertRaises(ValueError):
                checksum(said)

    def test_metadata(self) -> None:
        """Pairs of a name and base64, also without a value."""
        said = "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential"
        self.assertEqual(metadata(said), {"filename": "world_domination_plan.pdf", "is_confidential": ""})
        with self.assertRaises(ValueError):
            metadata("filename !")

    def test_concatenated(self) -> None:
        """A part, a whole of parts, or nonsense."""
        self.assertIsNone(tus.concatenated("partial"))
        self.assertEqual(tus.concatenated("final;/a /b?part=1"), ("/a", "/b?part=1"))
        for said in ("", "final", "final; ", "partial;/a"):
            self.assertRaises(ValueError, tus.concatenated, said)
