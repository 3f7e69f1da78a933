"""What may be sent to an address before the peer is proved to be there."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.validation import AMPLIFICATION, Validation
from morphnet.wire.frames import TOKEN


class ValidationTests(SynchronousTestCase):
    def test_amplification(self) -> None:
        """No more than three times what came from there, until it is validated."""
        address = Validation()
        self.assertFalse(address.allows(1))
        address.heard(100)
        self.assertEqual((address.allows(100 * AMPLIFICATION), address.allows(100 * AMPLIFICATION + 1)), (True, False))
        address.validated = True
        self.assertTrue(address.allows(1 << 20))

    def test_one_challenge(self) -> None:
        """The same token is asked for until it is forgotten; then it is a new one."""
        draws = iter([b"a" * TOKEN, b"b" * TOKEN])
        address = Validation()
        asked = [address.challenge(lambda count: next(draws)) for _ in range(2)]
        address.token = b""
        asked.append(address.challenge(lambda count: next(draws)))
        self.assertEqual(asked, [b"a" * TOKEN, b"a" * TOKEN, b"b" * TOKEN])
