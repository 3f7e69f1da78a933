"""What the real kernel is not even asked for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.kernel import Missing
from morphnet.net.linux import LinuxKernel


class SysctlTests(SynchronousTestCase):
    def test_only_the_networks(self) -> None:
        """No sysctl but the network's is read or set, however it is spelled: a journal may be another user's work."""
        kernel = LinuxKernel()
        for name in (
            "kernel/core_pattern",
            "net/../kernel/core_pattern",
            "net",
            "net/",
            "/net/x",
            "net//x",
            "../x",
            "",
        ):
            self.assertRaises(Missing, kernel.sysctl, name)
            self.assertRaises(Missing, kernel.set_sysctl, name, "|/tmp/evil")
