"""The picture of the policy travels as others do."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.policystatus import PolicyStatus, RefusedStatus
from morphnet.status import as_json, from_json


class PolicyStatusTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """What one process says is what another one reads; what is no picture is refused."""
        status = PolicyStatus(7, 3, True, (RefusedStatus("phone", "home", "22/tcp", 12),))
        self.assertEqual(from_json(PolicyStatus, as_json(status)), status)
        self.assertRaises(ValueError, from_json, PolicyStatus, {"sequence": 7, "refused": [3]})
