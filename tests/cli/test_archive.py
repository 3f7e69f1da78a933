"""A backup's file: nothing in it can be put where no file of ours belongs."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from morphnet.cli.archive import pack, unpack
from morphnet.errors import ConfigError
from tests.cli.case import CommandCase


class ArchiveTests(CommandCase):
    def setUp(self) -> None:
        """A whole backup."""
        super().setUp()
        self.init()
        self.file = Path(self.mktemp())
        self.good("backup", str(self.file))
        self.files = dict(unpack(self.file, self.place).files)

    def _refused(self, content: bytes, *why: str) -> None:
        self.file.write_bytes(content)
        said = str(self.assertRaises(ConfigError, unpack, self.file, self.place))
        self.assertNotIn("\n", said)
        for each in why:
            self.assertIn(each, said)

    def test_round_trip(self) -> None:
        """What is packed is what comes out."""
        self.file.write_bytes(pack(self.files, 5.0))
        self.assertEqual(unpack(self.file, self.place).files, self.files)

    def test_damaged(self) -> None:
        """Cut anywhere, or rubbish, is a sentence."""
        whole = self.file.read_bytes()
        for cut in range(0, len(whole), max(1, len(whole) // 60)):
            self._refused(whole[:cut])
        for at in range(0, len(whole), max(1, len(whole) // 30)):
            self._refused(whole[:at] + b"rubbish!" * 8 + whole[at + 64 :])
        self._refused(b"")
        self._refused(b"no archive at all")
        packed, about = io.BytesIO(), tarfile.TarInfo("backup.json")
        about.size = 100_000
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            archive.addfile(about, io.BytesIO(b"[" * about.size))
        self._refused(packed.getvalue(), "no backup")

    def test_other_names(self) -> None:
        """A name that is none of ours, or a way out of the directory, is refused with all the rest."""
        for name in (
            "/etc/passwd",
            "../x",
            "pki/../../x",
            "pki/a/b",
            "pki/.x",
            "state/other",
            "x.toml",
            "signer/other",
        ):
            self._refused(pack({**self.files, name: b"x"}, 5.0), "no backup")

    def test_other_kinds(self) -> None:
        """A link, a directory or a device is refused, whatever it is called."""
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w:gz") as archive:
                about = tarfile.TarInfo("pki/x.pem")
                about.type, about.linkname = kind, "/etc/passwd"
                archive.addfile(about)
            self._refused(packed.getvalue(), "no backup")

    def test_parts_missing(self) -> None:
        """What the network cannot be without is asked for by name; so is a later version."""
        for name in ("server.toml", "pki/ca.pem", "state/morphnet.db"):
            self._refused(pack({other: each for other, each in self.files.items() if other != name}, 5.0), name)
        self._refused(pack({**self.files, "backup.json": b'{"version": 2, "root": "/"}'}, 5.0), "later morphnet")
