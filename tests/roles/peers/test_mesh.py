"""Whom a mesh leaves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.pki.authority import Description
from morphnet.roles.peers.mesh import Mesh

NOW = 1000.0


class FakePeer:
    """One with whom there is a session."""

    def __init__(self, name: str, not_after: float) -> None:
        self.certificate, self.session = Description(name, "client", name, 0.0, not_after), object()
        self.left = ""

    def forget(self, reason: str) -> None:
        """See Peer."""
        self.left = reason


class CertificateTests(SynchronousTestCase):
    def test_left(self) -> None:
        """A session ends when the certificate that it began with is revoked or has expired, and only then."""
        peers = {name: FakePeer(name, NOW + ends) for name, ends in (("anna", 1), ("bert", 0), ("carl", 9))}
        looked: list[float] = []
        mesh = SimpleNamespace(
            wall=lambda: NOW,
            peers=peers,
            is_revoked=lambda shown: shown.serial == "carl",
            relays=SimpleNamespace(look_at_certificates=looked.append),
        )
        Mesh.look_at_certificates(cast(Any, mesh))
        self.assertEqual(
            [each.left for each in peers.values()], ["", "its certificate has expired", "its certificate was revoked"]
        )
        self.assertEqual(looked, [NOW])
