"""The password, as it is kept."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.roles.home import password


class PasswordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.state.mkdir()

    def test_kept(self) -> None:
        """The file does not have it, is its owner's, and is something else at another home."""
        password.write(self.state, "correct horse", "home")
        kept = password.read(self.state)
        self.assertEqual(kept, password.stretch("correct horse", "home"))
        self.assertNotEqual(kept, password.stretch("correct horse", "another"))
        file = self.state / password.FILE
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertNotIn("horse", file.read_text())

    def test_replaced(self) -> None:
        """Another one takes the place of whatever is there: nothing goes through a link, or is for others to read."""
        other, file = self.state / "other", self.state / password.FILE
        other.write_text("of somebody else\n")
        file.symlink_to("other")
        password.write(self.state, "correct horse", "home")
        self.assertEqual(other.read_text(), "of somebody else\n")
        file.chmod(0o644)
        password.write(self.state, "another horse", "home")
        self.assertEqual(password.read(self.state), password.stretch("another horse", "home"))
        self.assertEqual(file.lstat().st_mode & 0o777, 0o600)

    def test_vector(self) -> None:
        """As PBKDF2 of any other make gives it."""
        self.assertEqual(
            password.stretch("pw", "h").hex(),
            "36515e6f18b7676fea4ba320dce34d5f584d4288e0fee9caabfcc34b3ac33491",
        )

    def test_wrong(self) -> None:
        """A short one is refused; a missing or damaged file is told."""
        self.assertRaises(ConfigError, password.write, self.state, "short", "home")
        self.assertRaises(ConfigError, password.read, self.state)
        (self.state / password.FILE).write_text("abc\n")
        self.assertRaises(ConfigError, password.read, self.state)
