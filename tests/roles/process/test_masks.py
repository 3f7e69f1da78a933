"""One mask for each CA that is trusted."""

from __future__ import annotations

import os
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.shapes import SHAPES
from morphnet.errors import ConfigError
from morphnet.net.knock import key_of, knock
from morphnet.roles.process.masks import Masks, all_shapes
from morphnet.tunnel.wardrobe import Wardrobe
from morphnet.wire.shapes.masked import Masked
from morphnet.wire.shapes.shape import MASKED, Shape
from tests.fakes_pki import a_client, an_authority


def shapes(key: bytes) -> tuple[Shape, ...]:
    """One for each network."""
    return (Masked(key, os.urandom),)


class MasksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.old, self.new = an_authority(1), an_authority(2)
        self.cas: list[x509.Certificate] = [self.old.certificate]
        self.wardrobe, self.looks = Wardrobe(), 0
        self.masks = Masks(self.wardrobe, self.read, shapes)

    def test_two_cas(self) -> None:
        """While the network has two CAs what wears either's mask is taken; that of before stays the same object."""
        before = self.wardrobe.shapes
        self.cas = [self.new.certificate, self.old.certificate]
        self.masks.look()
        self.assertEqual((len(self.wardrobe.shapes), self.wardrobe.shapes[1:]), (2, before))
        ours = a_client(self.old).public_bytes(Encoding.PEM)
        self.assertIs(self.masks.ours(ours, MASKED), before[0])
        self.assertIs(self.masks.ours(a_client(self.new).public_bytes(Encoding.PEM), MASKED), self.wardrobe.shapes[0])
        self.cas = [self.new.certificate]
        self.masks.look()
        self.assertEqual(self.wardrobe.shapes, (self.masks.ours(ours, MASKED),))

    def test_knocks(self) -> None:
        """Whose knock is right is known without a look at the CAs, however many knock; a new CA's after the next."""
        before, self.looks = knock(key_of(self.old.certificate), bytes(8)), 0
        after = knock(key_of(self.new.certificate), bytes(8))
        self.assertEqual(
            [self.masks.knows(each) for each in (before, after, b"", b"knock")], [True, False, False, False]
        )
        self.assertFalse(any(self.masks.knows(b"%032d.net" % number) for number in range(1000)))
        self.assertEqual(self.looks, 0)
        self.cas = [self.new.certificate]
        self.masks.look()
        self.assertEqual([self.masks.knows(each) for each in (before, after)], [False, True])

    def read(self) -> list[x509.Certificate]:
        """The CAs."""
        self.looks += 1
        return self.cas

    def test_unreadable(self) -> None:
        """When the CAs cannot be read, all stays as it is."""
        before = self.wardrobe.shapes

        def broken() -> list[x509.Certificate]:
            raise ConfigError("no file")

        masks = Masks(self.wardrobe, broken, shapes)
        self.assertEqual((self.wardrobe.shapes, masks.ours(b"no PEM", MASKED)), (before, None))

    def test_kinds(self) -> None:
        """Each network has every shape, by its name; another name is none."""
        make = partial(all_shapes, entropy=os.urandom, sni="www.example.org")
        masks = Masks(self.wardrobe, lambda: self.cas, make)
        certificate = a_client(self.old).public_bytes(Encoding.PEM)
        found = [masks.ours(certificate, name) for name in SHAPES]
        self.assertEqual([shape.name if shape is not None else None for shape in found], [None, "masked", "quic"])
        self.assertEqual(set(self.wardrobe.shapes), set(found[1:]))
