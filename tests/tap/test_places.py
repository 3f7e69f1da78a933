"""What twistd was told to use, and cannot."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tap.places import wrong


class PlacesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.here = Path(self.mktemp()).absolute()
        self.here.mkdir()
        (self.here / "file").touch()

    def test_usable(self) -> None:
        """What can be made, and what is there; a log that goes to the terminal, and nothing at all."""
        for twistd in (
            {"rundir": ".", "pidfile": "", "logfile": None},
            {"rundir": str(self.here), "pidfile": str(self.here / "new.pid"), "logfile": str(self.here / "file")},
            {"rundir": "/within", "chroot": str(self.here), "logfile": "-"},
            {"logfile": "new.log"},
        ):
            self.assertEqual(wrong(twistd), "", twistd)

    def test_unusable(self) -> None:
        """Each is one sentence, with the option that named it."""
        nowhere, file = self.here / "nowhere", self.here / "file"
        for option, value, sentence in (
            ("rundir", nowhere, f"--rundir: there is no directory {nowhere}"),
            ("rundir", file, f"--rundir: there is no directory {file}"),
            ("chroot", nowhere, f"--chroot: there is no directory {nowhere}"),
            ("pidfile", nowhere / "x", f"--pidfile: {nowhere}/x cannot be written: there is no directory {nowhere}"),
            ("logfile", file / "x", f"--logfile: {file}/x cannot be written: there is no directory {file}"),
            ("logfile", self.here, f"--logfile: {self.here} cannot be written: it is a directory"),
        ):
            self.assertEqual(wrong({option: str(value)}), sentence)
