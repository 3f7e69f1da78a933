"""What the real kernel is not even asked for."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host import linux
from morphnet.host.kernel import Missing


class SysctlTests(SynchronousTestCase):
    def test_only_the_networks(self) -> None:
        """No sysctl but the network's is read or set, however it is spelled: a journal may be another user's work."""
        base = Path(self.mktemp()).absolute()
        self.patch(linux, "_SYSCTL", base)  # never this machine's own
        for name in ("net/x", "kernel/core_pattern", "x"):
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            (base / name).write_text("as it was")
        kernel = linux.LinuxKernel()
        for name in ("kernel/core_pattern", "net/../kernel/core_pattern", "net", "net/", f"{base}/x", "net//x", ""):
            self.assertRaises(Missing, kernel.sysctl, name)
            self.assertRaises(Missing, kernel.set_sysctl, name, "|/tmp/evil")
        kernel.set_sysctl("net/x", "1")
        self.assertEqual(kernel.sysctl("net/x"), "1")
        self.assertEqual((base / "kernel" / "core_pattern").read_text(), "as it was")
