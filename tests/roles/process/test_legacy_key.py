"""The key string of an original server, in a file."""

from __future__ import annotations

import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, HostError
from morphnet.roles.process.legacy_key import read_key, read_or_make_key


class KeyFileTests(SynchronousTestCase):
    def test_made_once(self) -> None:
        """It is made when it is missing, for its owner alone, and the same ever after."""
        path = Path(self.mktemp()) / "legacy.key"
        made = read_or_make_key(path)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual((read_or_make_key(path).text, read_key(path).text), (made.text, made.text))

    def test_refused(self) -> None:
        """A file that is missing, holds something else, or cannot be made: one sentence, and it is left alone."""
        path = Path(self.mktemp())
        self.assertIn("No such file", str(self.assertRaises(ConfigError, read_key, path)))
        path.write_bytes(b"\xffnonsense")
        self.assertIn("no key string", str(self.assertRaises(ConfigError, read_or_make_key, path)))
        self.assertEqual(path.read_bytes(), b"\xffnonsense")
        self.assertRaises(HostError, read_or_make_key, path / "below")
