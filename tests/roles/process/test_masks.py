"""One mask for each CA that is trusted."""

from __future__ import annotations

import os

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.roles.process.masks import Masks
from morphnet.tunnel.wardrobe import Wardrobe
from tests.fakes_pki import a_client, an_authority


class MasksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.old, self.new = an_authority(1), an_authority(2)
        self.cas: list[x509.Certificate] = [self.old.certificate]
        self.wardrobe = Wardrobe()
        self.masks = Masks(self.wardrobe, lambda: self.cas, os.urandom)

    def test_two_cas(self) -> None:
        """While the network has two CAs what wears either's mask is taken; that of before stays the same object."""
        before = self.wardrobe.shapes
        self.cas = [self.new.certificate, self.old.certificate]
        self.masks.look()
        self.assertEqual((len(self.wardrobe.shapes), self.wardrobe.shapes[1:]), (2, before))
        ours = a_client(self.old).public_bytes(Encoding.PEM)
        self.assertIs(self.masks.ours(ours), before[0])
        self.assertIs(self.masks.ours(a_client(self.new).public_bytes(Encoding.PEM)), self.wardrobe.shapes[0])
        self.cas = [self.new.certificate]
        self.masks.look()
        self.assertEqual(self.wardrobe.shapes, (self.masks.ours(ours),))

    def test_unreadable(self) -> None:
        """When the CAs cannot be read, all stays as it is."""
        before = self.wardrobe.shapes

        def broken() -> list[x509.Certificate]:
            raise ConfigError("no file")

        masks = Masks(self.wardrobe, broken, os.urandom)
        self.assertEqual((self.wardrobe.shapes, masks.ours(b"no PEM")), (before, None))
