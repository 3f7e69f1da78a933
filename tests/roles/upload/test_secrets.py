"""The file with the secrets."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.roles.upload.secrets import read_secrets


class SecretsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_rotation(self) -> None:
        """The first line is in use, the others are still good."""
        self.path.write_bytes(b"the new one\n\n  the old one \r\n")
        self.path.chmod(0o600)
        self.assertEqual(read_secrets(self.path), (b"the new one", b"the old one"))

    def test_refused(self) -> None:
        """None, an empty one, a short one, and one that everybody may read; no secret is in the sentence."""
        with self.assertRaisesRegex(ConfigError, "no such file"):
            read_secrets(self.path)
        for text, mode, why in (("", 0o600, "no secret"), ("short", 0o600, "shorter"), ("long enough", 0o644, "chmod")):
            self.path.write_text(text)
            self.path.chmod(mode)
            with self.assertRaisesRegex(ConfigError, why) as caught:
                read_secrets(self.path)
            self.assertNotIn("long enough", str(caught.exception))
