"""`morphnet upload init` and `status`, and that a file needs no name of a command."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from morphnet.cli import commands
from morphnet.cli.running import names_here, role_here
from morphnet.cli.uploads import nginx
from morphnet.config.upload import UploadConfig
from morphnet.roles.upload.secrets import read_secrets
from tests.cli.case import CommandCase


class UploadsTests(CommandCase):
    def test_init(self) -> None:
        """A secret that only its owner may read, and settings that name it; both servers are told of it, once."""
        said = self.good("upload", "init", "--url", "https://example.org/files/up", "--port", "8051").stdout
        self.assertEqual(names_here(self.place), ["upload"])
        config = role_here(self.place, "upload").config
        assert isinstance(config, UploadConfig)
        self.assertEqual((config.base, config.port, config.url),
                         ("/files/up/", 8051, "https://example.org/files/up/"))  # fmt: skip
        (secret,) = read_secrets(config.secret_file)
        self.assertEqual(config.secret_file.stat().st_mode & 0o777, 0o600)
        self.assertEqual((said.count(secret.decode()), len(secret)), (2, 64))
        self.assertIn('Component "upload.example.org" "http_file_share"', said)
        for limit in ("http_file_share_size_limit = ", "max_size: "):  # their own are smaller than ours
            self.assertIn(f"    {limit}{config.max_size}\n", said)
        self.assertIn(nginx("/files/up/", 8051), said)
        self.assertIn("there already", self.bad("upload", "init", "--url", "https://example.org/up/"))

    def test_no_address(self) -> None:
        """What is no address is refused before anything is made."""
        for wrong in ("ftp://x/", "https://", "https://ex ample/", "example.org", "https://x/?a"):
            self.assertIn("url", self.bad("upload", "init", "--url", wrong))
        self.assertFalse(self.place.upload_toml.exists())

    def test_status(self) -> None:
        """Nothing runs, nothing is set up: a sentence each."""
        self.assertIn("no configuration", self.bad("upload", "status"))
        self.good("upload", "init", "--url", "https://example.org/up/")
        self.assertIn("no morphnet is running here", self.bad("upload", "status"))
        self.assertIn(str(self.place.run_of("upload")), self.bad("status"))

    def test_file(self) -> None:
        """A word that is no command is a file."""
        missing = Path(self.mktemp())
        done = CliRunner().invoke(commands, ["upload", str(missing), "--to", "http://127.0.0.1:1/"])
        self.assertEqual(done.exit_code, 1)
        self.assertIn("no such file", done.stderr)
        self.assertIn("Send a file", CliRunner().invoke(commands, ["upload", "--help"]).stdout)
