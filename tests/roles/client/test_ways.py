"""How the server is called in other ways than by its port."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.mesh import MeshConfig
from morphnet.config.roles import ClientConfig
from morphnet.net.dial import Destination, Net
from morphnet.net.ondevice import Source
from morphnet.net.tls import ClientTls
from morphnet.net.web import NoWay
from morphnet.roles.client.ways import Relays, WebServer
from morphnet.wire.messages.relay import Reach

CONFIG = ClientConfig(server="gw.example:8444", shape="web", shape_web="https://www.example.org:444/a")


class Member:
    """Somebody of the network."""

    def knock(self) -> bytes:
        return b"knock"


class WebServerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.config, self.trusted = CONFIG, list[str]()

    def public(self, host: str) -> IOpenSSLClientConnectionCreator:
        self.trusted.append(host)
        return cast(IOpenSSLClientConnectionCreator, None)

    def test_wanted(self) -> None:
        """It is called as the settings have it, by its own name, while the shape is `web`, and always by one dial."""
        web = WebServer(cast(Net, None), lambda: self.config, Destination, Member(), self.public)
        dial = web.dial()
        assert dial is not None
        self.assertEqual((dial.to.host, dial.to.port, self.trusted), ("www.example.org", 444, ["www.example.org"]))
        self.assertIs(web.dial(), dial)
        self.config = replace(CONFIG, shape="quic")
        self.assertIsNone(web.dial())
        self.config = replace(CONFIG, shape_web="https://other.example/b")
        other = web.dial()
        assert other is not None
        self.assertEqual((other.to.host, other.to.port), ("other.example", 443))

    def test_no_such_host(self) -> None:
        """A host that no certificate can be of is told as a web server that does not let us through."""
        self.config = replace(CONFIG, shape_web="https://my_host.example/a")
        web = WebServer(cast(Net, None), lambda: self.config, Destination, Member())
        self.assertRaises(NoWay, web.dial)


class RelaysTests(SynchronousTestCase):
    def test_each(self) -> None:
        """By each of them, from everywhere, with the name that the server's certificate carries."""
        config = replace(CONFIG, server_name="gw", mesh=MeshConfig(relays=("one.example", "two.example:8443")))
        sources = [Source("wan0", "192.168.1.2")]
        to = lambda host, port, sources: Destination(host, port, sources)  # noqa: E731
        relays = Relays(cast(Net, None), config, to, lambda host: cast(ClientTls, host))
        found = relays.passages("gw.example:8444", lambda: sources)
        self.assertEqual(
            [(each.to.host, each.to.port) for each in found], [("one.example", 443), ("two.example", 8443)]
        )
        self.assertEqual([each.first for each in found], [Reach("gw.example", "gw")] * 2)
        self.assertEqual(found[0].to.sources(), sources)
