"""Which form of the data plane's modules runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet import compiled

ASK = "import morphnet.tunnel.path as path, morphnet.wire.core as core; print(path.__file__, core.CORE is core.PURE)"


class UsableTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A checkout in which everything was made."""
        self.package = Path(self.mktemp()) / "morphnet"
        for name in compiled.PACKAGES:
            (self.package / name).mkdir(parents=True)
        for module in compiled.MODULES:
            source = self.package / module
            source.touch()
            os.utime(source, (100, 100))
            compiled.made(source).touch()
        compiled.made(self.package / compiled.SHARED).touch()
        (self.package.parent / "setup.py").touch()

    def test_made(self) -> None:
        """All of them are there, and none is older than its source."""
        self.assertTrue(compiled.usable(self.package))

    def test_one_missing(self) -> None:
        """One that was not made, or the library of them all: none is used."""
        for missing in (self.package / compiled.MODULES[3], self.package / compiled.SHARED):
            compiled.made(missing).unlink()
            self.assertFalse(compiled.usable(self.package))
            compiled.made(missing).touch()

    def test_changed(self) -> None:
        """A developer's change runs; where it was installed, times say nothing."""
        os.utime(compiled.made(self.package / compiled.MODULES[0]), (50, 50))
        self.assertFalse(compiled.usable(self.package))
        (self.package.parent / "setup.py").unlink()
        self.assertTrue(compiled.usable(self.package))


class ChoiceTests(SynchronousTestCase):
    def _runs(self, wish: str | None) -> tuple[str, bool]:
        """The suffix of a module that may be compiled, and whether the core is the pure one."""
        environment = {name: value for name, value in os.environ.items() if name != "MORPHNET_CORE"}
        if wish:
            environment["MORPHNET_CORE"] = wish
        said = subprocess.run(
            [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True, timeout=30
        )
        file, pure = said.stdout.split()
        return Path(file).suffix, pure == "True"

    def test_pure(self) -> None:
        """Nothing compiled at all."""
        self.assertEqual(self._runs("pure"), (".py", True))

    def test_core(self) -> None:
        """Only the core in C."""
        suffix, pure = self._runs("c")
        self.assertEqual((suffix, pure), (".py", self._runs(None)[1]))

    def test_default(self) -> None:
        """All that was made."""
        usable = compiled.usable(Path(compiled.__file__).parent)
        self.assertEqual(self._runs(None)[0], ".so" if usable else ".py")
