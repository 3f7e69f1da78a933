"""Settings of what browsers reach besides files and terminals."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import load
from morphnet.config.home import HomeConfig
from morphnet.config.services import named
from morphnet.errors import ConfigError


class ServicesConfigTests(SynchronousTestCase):
    def load(self, **typed: str) -> HomeConfig:
        return load(
            HomeConfig, None, {"coordinator": "c.example", **{k.replace("_", "."): v for k, v in typed.items()}}
        )

    def test_nothing_is_allowed(self) -> None:
        """Each is off until it is allowed."""
        home = self.load()
        self.assertEqual((home.vnc.server, home.tcp.services, home.web.services), ("", (), ()))
        self.assertFalse(home.passkeys.enabled)

    def test_places(self) -> None:
        """A host and a port, or the path of a socket."""
        for place in ("127.0.0.1:5900", "[fd00::9]:5901", "nas.lan:1", "/run/user/1000/vnc"):
            self.assertEqual(self.load(vnc_server=place).vnc.server, place)
        for wrong in ("127.0.0.1", "nas:0", "nas:65536", "a b:1", "./vnc", ":5900", "nas:http"):
            with self.assertRaisesRegex(ConfigError, "vnc-server"):
                self.load(vnc_server=wrong)

    def test_named(self) -> None:
        """Each has a name of its own."""
        found = self.load(tcp_services="console=10.0.0.1:23,the heating = /run/heating").tcp.services
        self.assertEqual(named(found), {"console": "10.0.0.1:23", "the heating": "/run/heating"})
        for wrong in ("10.0.0.1:23", "a=b:1,a=c:2", "=b:1", "a=b", "a/b=c:1"):
            with self.assertRaisesRegex(ConfigError, "tcp-services"):
                self.load(tcp_services=wrong)

    def test_pages(self) -> None:
        """URLs of HTTP, with nothing in them that is a secret or leads astray."""
        for url in ("http://192.168.1.1", "https://nas.lan:8443/panel/", "http://[fd00::1]:80/x"):
            self.assertEqual(named(self.load(web_services=f"a={url}").web.services), {"a": url})
        for wrong in ("ftp://a/", "http://", "http://u:p@h/", "http://h:0/", "http://h:99999/", "http://h/a b", "h"):
            with self.assertRaisesRegex(ConfigError, "web-services"):
                self.load(web_services=f"a={wrong}")
