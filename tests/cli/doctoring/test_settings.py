"""Mistakes, rights and dates of what lies on the disk."""

from __future__ import annotations

import time

from morphnet.cli.doctoring.settings import CHECKS
from morphnet.pki.files import key_path
from tests.cli.doctoring.patients import PatientCase

YEAR = 365 * 86400.0


class SettingsTests(PatientCase):
    def test_well(self) -> None:
        """As `morphnet init` leaves it."""
        self.assertEqual(set(self.states(CHECKS).values()), {"ok"})

    def test_nothing(self) -> None:
        """A machine on which nothing is set up."""
        for each in self.place.root.glob("*.toml"):
            each.unlink()
        self.assertEqual(self.states(CHECKS), {"something is set up here": "note"})

    def test_mistakes(self) -> None:
        """The sentence of the configuration itself."""
        self.place.relay_toml.write_text("no_such = 1\n")
        (found,) = self.faults(CHECKS, "every configuration can be read")
        self.assertIn("no_such", found.text)

    def test_modes(self) -> None:
        """A key that others can read, and a directory that they can write, are mended when that is asked for."""
        name, key = "keys are their owner's alone", key_path(self.place.pki_dir, "gw")
        key.chmod(0o644)
        self.place.root.chmod(0o777)
        self.assertEqual([each.text.split()[0] for each in self.faults(CHECKS, name)], ["everybody", str(key)])
        self.assertEqual(self.states(CHECKS, mend=True)[name], "mended")
        self.assertEqual((key.stat().st_mode & 0o777, self.place.root.stat().st_mode & 0o777), (0o600, 0o775))
        self.assertEqual(self.faults(CHECKS, name), [])

    def test_link(self) -> None:
        """A link that stands in a key's place by then is not followed."""
        name, key, other = "keys are their owner's alone", key_path(self.place.pki_dir, "gw"), self.place.root / "other"
        key.chmod(0o644)
        (found,) = self.faults(CHECKS, name)
        other.write_bytes(b"")
        other.chmod(0o644)
        key.unlink()
        key.symlink_to(other)
        assert found.mend is not None  # it can be mended
        self.assertRaises(OSError, found.mend)
        self.assertEqual(other.stat().st_mode & 0o777, 0o644)

    def test_credentials(self) -> None:
        """A key that is not there, for each role that needs it."""
        key_path(self.place.pki_dir, "gw").unlink()
        found = self.faults(CHECKS, "certificate, key and CA belong together")
        self.assertTrue(found)
        self.assertIn("gw.key", found[0].text)

    def test_ends(self) -> None:
        """A certificate that was not renewed."""
        found = self.faults(CHECKS, "no certificate is about to end", now=time.time() + 20 * YEAR)
        self.assertIn("has ended", found[0].text)
