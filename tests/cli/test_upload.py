"""`morphnet upload` up to its first request."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli import commands
from morphnet.cli.upload import Bar


class UploadTests(SynchronousTestCase):
    def test_refused(self) -> None:
        """One sentence each, exit code 1, and nothing on standard output."""
        token = Path(self.mktemp())
        token.write_text("bob " + "ab" * 32)
        token.chmod(0o600)
        missing = f"{token}.missing"
        for to, held, file, why in (
            ("ftp://x/", str(token), "/etc/hostname", "--to takes"),
            ("http://a:b@x/", str(token), "/etc/hostname", "--to takes"),
            ("http://x:y/", str(token), "/etc/hostname", "--to takes"),
            ("http://x/", missing, "/etc/hostname", "no such file"),
            ("http://x/", str(token), missing, "no such file"),
            ("http://x/", str(token), "/etc", "is a directory"),
        ):
            done = CliRunner().invoke(commands, ["upload", "--to", to, "--token-file", held, file])
            self.assertEqual((done.exit_code, done.stdout), (1, ""), done.output)
            self.assertIn(why, done.stderr)

    def test_bar(self) -> None:
        """Below 80 columns, for files of any size."""
        for size in (0, 1, 10**13):
            line = Bar(size, draws=False).line(size)
            self.assertTrue(line.startswith("100 %") and len(line) < 80, line)
