"""`morphnet doctor` up to its first look, and the lines that it prints."""

from __future__ import annotations

from morphnet.cli.doctor import remedies
from morphnet.cli.uploaddoctor import Finding
from tests.cli.case import CommandCase


class DoctorTests(CommandCase):
    def test_lines(self) -> None:
        """For the proxy that says what it is, else for each."""
        found = Finding("x", "y", "size")
        self.assertEqual(remedies(found, "nginx/1.22.1", "/up/", 1), ["nginx: client_max_body_size 0;"])
        self.assertEqual(len(remedies(found, "cloudflare", "/up/", 1)), 3)
        self.assertEqual(remedies(Finding("x", "y"), "nginx", "/up/", 1), [])
        self.assertIn("http://127.0.0.1:8051;", remedies(Finding("x", "y", "pass"), "nginx", "/up/", 8051)[0])

    def test_refused(self) -> None:
        """No address, and neither a token nor a server here."""
        self.assertIn("no address", self.bad("doctor", "upload", "ftp://x/"))
        self.assertIn("no configuration", self.bad("doctor", "upload", "http://127.0.0.1:1/up/"))
