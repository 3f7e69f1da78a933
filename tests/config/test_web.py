"""Where a web server is, in front of the server."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import loads
from morphnet.config.roles import ClientConfig
from morphnet.config.web import WebPlace, web_place, web_wrong
from morphnet.errors import ConfigError

URL = "https://www.example.org/a-path"


class WebTests(SynchronousTestCase):
    def read(self, text: str) -> ClientConfig:
        """A client's settings."""
        return loads(ClientConfig, f'server = "vpn.example"\n{text}', Path("x.toml"))

    def test_place(self) -> None:
        """The port is that of HTTPS where none is given; a path is needed, for the site itself is everybody's."""
        self.assertEqual(web_place(URL), WebPlace("www.example.org", 443, "/a-path"))
        self.assertEqual(web_place("https://[2001:db8::1]:8443/a"), WebPlace("2001:db8::1", 8443, "/a"))
        right = ("", URL, "https://192.0.2.1/a", "https://[2001:db8::1]:8443/a", "https://xn--bcher-kva.example/a")
        self.assertEqual([web_wrong(each) for each in right], [None] * len(right))

    def test_wrong(self) -> None:
        """What is no https with a path, or has what a request would not have, is refused."""
        for wrong in (
            "http://www.example.org/a",
            "https://www.example.org",
            "https://www.example.org/",
            "https:///a",
            "https://www.example.org/a?b",
            "https://www.example.org/a#b",
            "https://u:p@www.example.org/a",
            "https://www.example.org:0/a",
            "https://www.example.org:99999/a",
            "https://www.example.org/a b",
            "https://www.example.org/a\\r\\nX: y",
            "https://www.example.org/ä",
            "https://my_host.example/a",
            "https://-a.example/a",
            "https://ab--cd.example/a",
            "https://a..example/a",
        ):
            with self.assertRaises(ConfigError, msg=wrong):
                self.read(f'shape_web = "{wrong}"')

    def test_together(self) -> None:
        """The shape `web` needs a place, and streams."""
        self.assertEqual(self.read(f'shape = "web"\nshape_web = "{URL}"').shape, "web")
        for lacking in ('shape = "web"', f'shape = "web"\nshape_web = "{URL}"\nstreams = false'):
            with self.assertRaises(ConfigError) as refused:
                self.read(lacking)
            self.assertIn("shape_web", str(refused.exception))
