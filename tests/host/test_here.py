"""Public addresses of this machine."""

from __future__ import annotations

import errno

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.host import here
from morphnet.host.facts import AddressFact, read_addresses


class HereTests(SynchronousTestCase):
    def test_public(self) -> None:
        """Those of any device, each once; private ones, and what the kernel does not tell, are none."""
        several = ("192.168.1.5", "9.9.9.9", "fd73::1", "2001:db8::5", "9.9.9.9")
        self.patch(here, "read_addresses", lambda: [AddressFact(turn, each, 0) for turn, each in enumerate(several)])
        self.assertEqual(here.public_addresses(), ("2001:db8::5", "9.9.9.9"))

        def silent() -> list[AddressFact]:
            raise OSError(errno.ETIMEDOUT, "timed out")

        self.patch(here, "read_addresses", silent)
        self.assertRaises(HostError, here.public_addresses)

    def test_real(self) -> None:
        """The kernel answers."""
        self.assertTrue(all(each.address for each in read_addresses()))
        here.public_addresses()
