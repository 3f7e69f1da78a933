"""Modules that are loaded when they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tap import lean

PARTLY = """\
import sys
from morphnet.tap.lean import prepare
prepare(digests=True)
import asyncio, http.cookiejar, pdb
from asyncio import iscoroutine
print([name in sys.modules for name in ("asyncio.coroutines", "asyncio.base_events", "bdb", "_hashlib")])
print(asyncio.coroutines.iscoroutine is iscoroutine, hasattr(asyncio, "nonsense"), hasattr(pdb, "__nonsense__"))
print(asyncio.run.__module__, issubclass(pdb.Pdb, object), http.cookiejar.CookieJar.__name__)
print([name in sys.modules for name in ("asyncio.base_events", "bdb")])
import hashlib, hmac
print(hashlib.sha256(b"").hexdigest()[:8], hmac.digest(b"k", b"m", "sha256").hex()[:8])
import _hashlib
print(_hashlib.openssl_sha256(b"").hexdigest()[:8])
"""


def loads() -> None:
    """What a module calls while it is loaded."""


class LeanTests(SynchronousTestCase):
    def test_in_a_process(self) -> None:
        """Parts come without the whole; the whole comes when something else is asked for, and is as ever then."""
        done = subprocess.run([sys.executable, "-c", PARTLY], capture_output=True, text=True, timeout=60)
        self.assertEqual(
            done.stdout.splitlines(),
            [
                "[True, False, False, False]",
                "True False False",
                "asyncio.runners True CookieJar",
                "[True, True]",
                "e3b0c442 b60090e3",
                "e3b0c442",
            ],
            done.stderr,
        )

    def module(self, name: str, text: str) -> None:
        """One that is loaded later."""
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        (place / f"{name}.py").write_text(text)
        self.patch(sys, "path", [str(place), *sys.path])
        self.addCleanup(sys.modules.pop, name, None)
        lean.later(name)

    def test_there_already(self) -> None:
        """What is loaded stays as it is, and what is not there stays so."""
        before = sys.modules["subprocess"]
        lean.later("subprocess")
        lean.later("morphnet_of_no_kind")
        self.assertIs(sys.modules["subprocess"], before)
        self.assertNotIn("morphnet_of_no_kind", sys.modules)

    def test_broken(self) -> None:
        """What cannot be loaded says so when it is used."""
        self.module("morphnet_broken", "1 / 0")
        for _ in range(2):
            self.assertRaises(ZeroDivisionError, getattr, sys.modules["morphnet_broken"], "value")

    def test_threads(self) -> None:
        """Who asks for something while another thread loads it waits until it is there."""
        self.module("morphnet_slow", "from tests.tap import test_lean\ntest_lean.loads()\nvalue = 7")
        slow, found = sys.modules["morphnet_slow"], list[int]()
        second = Thread(target=lambda: found.append(getattr(slow, "value", 0)))

        def loads() -> None:
            second.start()
            second.join(0.05)  # it would have found nothing by now

        self.patch(sys.modules[__name__], "loads", loads)
        found.append(slow.value)
        second.join()
        self.assertEqual(found, [7, 7])

    def test_no_digests_of_its_own(self) -> None:
        """A Python without its own code for checksums keeps OpenSSL's."""
        self.patch(sys, "modules", {**sys.modules})
        for name in ("_hashlib", "hashlib"):
            sys.modules.pop(name, None)
        lean.own_digests(lambda name: None)
        self.assertNotIn("hashlib", sys.modules)
