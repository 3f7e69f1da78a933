"""What every shape has in common."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.shapes import SHAPES
from morphnet.wire.shapes.masked import Masked
from morphnet.wire.shapes.quic import Quic
from morphnet.wire.shapes.shape import PLAIN, Shape


class ShapeTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Each shape of the settings but `plain`, which is none, is one."""
        shapes: list[Shape] = [Masked(bytes(32), bytes), Quic(bytes(32), bytes, "")]
        self.assertEqual({PLAIN, *(shape.name for shape in shapes)}, set(SHAPES))
