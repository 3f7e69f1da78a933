"""What the client's paths wear, as its operator wishes and its server knows."""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.net.pump import Pump
from morphnet.roles.client.ladders import Ladders, Rung
from morphnet.roles.client.shapes import Shapes
from morphnet.tunnel.carrier import STREAM, Carrier
from morphnet.tunnel.events import Effects
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Endpoint
from morphnet.wire.shapes.masked import Masked

GATEWAY = Endpoint("192.0.2.1", 8000)


class ShapesTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock = Clock()
        self.pump = Pump(clock, Tunnel(server=False, entropy=os.urandom), clock.seconds)
        self.session = self.pump.tunnel.add_session("gw", bytes(16), Tuning())
        self.told = list[str]()
        self.masked = Masked(bytes(32), os.urandom)

    def shapes(self, wished: str = "masked") -> Shapes:
        """With that wish in the settings."""
        return Shapes(wished, self.pump, lambda kind, text: self.told.append(text), lambda name: self.masked)

    def worn(self, door: int = 0) -> str:
        """By a path that is opened now."""
        path = self.session.open_path(door, GATEWAY, f"wan{door}", 0.0, Effects())
        return path.shape.name if path.shape is not None else "plain"

    def test_wished(self) -> None:
        """Paths wear it from their first datagram on; a stream, which shows nothing of what it carries, does not."""
        self.shapes().welcomed(self.session, ("masked",), Effects())
        self.pump.tunnel.carriers[1] = Carrier(STREAM, "tcp")
        self.assertEqual((self.worn(), self.worn(1)), ("masked", "plain"))
        self.assertEqual(self.told, ["what goes to the server is masked"])

    def test_server_of_before(self) -> None:
        """A server that does not know it gets plain datagrams, and the operator is told, once, and warned."""
        shapes = self.shapes()
        shapes.welcomed(self.session, (), Effects())
        self.assertEqual(self.worn(), "plain")
        self.assertEqual(list(shapes.warnings()), self.told)
        self.assertIn("does not know the shape 'masked'", self.told[0])
        shapes.welcomed(self.session, ("masked",), Effects())
        self.assertEqual((self.worn(), shapes.warnings()), ("masked", ()))

    def test_seed(self) -> None:
        """Nor does a session in the format `seed` wear it, whatever the server says."""
        self.session.use_format("seed")
        self.shapes().welcomed(self.session, ("masked",), Effects())
        self.assertEqual(self.worn(), "plain")

    def test_live(self) -> None:
        """Another wish holds at once, for paths that there are; without a session, as soon as there is one."""
        shapes = self.shapes("plain")
        self.assertEqual(shapes.wish("masked"), "when the server is reached")
        shapes.welcomed(self.session, ("masked",), Effects())
        self.assertEqual((self.worn(), shapes.wish("plain"), self.worn()), ("masked", "", "plain"))
        self.assertEqual((shapes.wish("masked"), self.worn(1)), ("", "masked"))

    def test_plain(self) -> None:
        """Nobody who did not wish anything hears of it."""
        shapes = self.shapes("plain")
        shapes.welcomed(self.session, ("masked",), Effects())
        self.assertEqual((self.worn(), self.told, shapes.warnings()), ("plain", [], ()))

    def test_auto(self) -> None:
        """What both ends know is to be found out, the cheapest first; another wish ends that."""
        ladders = Ladders(lambda: 0.0, lambda kind, text: None)
        shapes = Shapes("auto", self.pump, lambda kind, text: None, lambda name: self.masked, ladders)
        for known, open_ones in (((), ["plain"]), (("masked",), ["plain"])):
            shapes.welcomed(self.session, known, Effects())
            self.assertEqual([rung.shape for rung in ladders.open_on("wan0")], open_ones)
            self.assertIs(ladders.shape(Rung("wan0", "masked", 2)), self.masked if known else None)
        self.assertEqual((self.worn(), shapes.warnings()), ("plain", ()))
        shapes.wish("masked")
        self.assertEqual((ladders.open_on("wan0"), self.worn()), ([Rung("wan0")], "masked"))

    def test_web(self) -> None:
        """No path by UDP is left, whatever the server knows, and nothing is lacking; another wish brings them back."""
        ladders = Ladders(lambda: 0.0, lambda kind, text: None)
        shapes = Shapes("web", self.pump, lambda kind, text: None, lambda name: self.masked, ladders)
        shapes.welcomed(self.session, ("masked",), Effects())
        self.assertEqual((ladders.open_on("wan0"), shapes.warnings()), ([], ()))
        shapes.wish("plain")
        self.assertEqual(ladders.open_on("wan0"), [Rung("wan0")])

    def test_to_web(self) -> None:
        """Until they are closed, paths wear what they wore: nothing plain is sent on the way to `web`."""
        shapes = self.shapes()
        shapes.welcomed(self.session, ("masked",), Effects())
        path = self.session.open_path(0, GATEWAY, "wan0", 0.0, Effects())
        self.assertEqual((shapes.wish("web"), path.shape), ("", self.masked))

    def test_own_shape(self) -> None:
        """A door that is for one shape has it worn, whatever the others wear."""
        self.pump.tunnel.carriers[1] = Carrier(shape=self.masked)
        self.shapes("plain").welcomed(self.session, ("masked",), Effects())
        self.assertEqual((self.worn(), self.worn(1)), ("plain", "masked"))
