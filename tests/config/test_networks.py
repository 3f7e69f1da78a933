"""Settings of networks behind a client, and of ports that lead to clients."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import loads
from morphnet.config.networks import Forward, advertise_wrong, forward, forwards_wrong, through_wrong, unfit
from morphnet.config.roles import ClientConfig, ServerConfig
from morphnet.errors import ConfigError


class AdvertiseTests(SynchronousTestCase):
    def test_good(self) -> None:
        """Networks of either family that do not overlap; one machine is a network too."""
        self.assertIsNone(advertise_wrong(("192.168.7.0/24", "192.168.8.5/32", "fd07::/64", "10.0.0.0/8")))
        self.assertIsNone(advertise_wrong(()))

    def test_wrong(self) -> None:
        """What is none, all the world, nobody's, twice the same, or too much is refused."""
        wrong = ["192.168.7.1/24", "default", "0.0.0.0/0", "::/0", "8.0.0.0/7", "127.0.0.0/8", "fe80::/64", "x", ""]
        for each in wrong:
            self.assertIsNotNone(advertise_wrong((each,)), each)
        said = advertise_wrong(("192.168.0.0/16", "192.168.7.0/24"))
        self.assertEqual(said, "holds 192.168.7.0/24 and 192.168.0.0/16, which overlap: write one of them")
        self.assertIsNotNone(advertise_wrong(tuple(f"10.0.{n}.0/24" for n in range(17))))
        self.assertEqual(unfit("0.0.0.0/0"), "is too large: /8 is the most")

    def test_written(self) -> None:
        """However they are written, they are kept in one way: what is approved on the gateway is compared with that."""
        text = 'server = "gw"\nadvertise = ["FD07:0::/64", "192.168.7.9", "10.0.0.0/255.0.0.0"]\n'
        found = loads(ClientConfig, text, Path("client.toml")).advertise
        self.assertEqual(found, ("fd07::/64", "192.168.7.9/32", "10.0.0.0/8"))
        with self.assertRaisesRegex(ConfigError, "advertise"):
            loads(ClientConfig, 'server = "gw"\nadvertise = ["192.168.7.9/24"]\n', Path("client.toml"))

    def test_without_tun(self) -> None:
        """It needs a TUN device."""
        with self.assertRaisesRegex(ConfigError, "need a TUN device"):
            text = 'server = "gw"\ntun = ""\ncarry = ["127.0.0.1:5=x"]\nadvertise = ["192.168.7.0/24"]\n'
            loads(ClientConfig, text, Path("client.toml"))


class ThroughTests(SynchronousTestCase):
    def test_wrong(self) -> None:
        """A peer and a network; neither the world, nor one network twice, however it is written."""
        self.assertIn("twice", str(through_wrong(("home=fd07::/64", "work=FD07:0::/64"))))
        self.assertIsNone(through_wrong(("home=192.168.7.0/24", "work=fd07::/64")))
        for each in (
            "home",
            "=192.168.7.0/24",
            "home=192.168.7.1/24",
            "home=default",
            "home=0.0.0.0/0",
            "home=10.0.0.1",
        ):
            self.assertIn("home=192.168.7.0/24", str(through_wrong((each,))), each)
        self.assertEqual(through_wrong(("a=10.0.0.0/8", "b=10.0.0.0/8")), "has one network twice")

    def test_exit(self) -> None:
        """An exit is for a machine without a server."""
        with self.assertRaisesRegex(ConfigError, "'exit' is for a machine without a server"):
            loads(ClientConfig, 'server = "gw"\n[mesh]\nrelays = ["meet"]\nexit = "home"\n', Path("client.toml"))
        loads(ClientConfig, '[mesh]\nrelays = ["meet"]\nexit = "home"\n', Path("client.toml"))

    def test_through_inner(self) -> None:
        """A peer is no way to addresses of other peers."""
        mesh = '[mesh]\nrelays = ["meet"]\nthrough = ["home={}"]\n'
        for network in ("10.73.0.0/28", "10.0.0.0/8", "fd73::5/128"):
            with self.assertRaisesRegex(ConfigError, "overlaps .*, the peers' own addresses"):
                loads(ClientConfig, mesh.format(network), Path("client.toml"))
        loads(ClientConfig, mesh.format("192.168.7.0/24"), Path("client.toml"))


class ForwardTests(SynchronousTestCase):
    def server(self, text: str) -> ServerConfig:
        return loads(ServerConfig, f'name = "gw"\n{text}', Path("server.toml"))

    def test_tables(self) -> None:
        """`[[forward]]` tables, one table, and strings say the same."""
        for text in (
            '[[forward]]\nlisten = "443/tcp"\nto = "laptop:8443"\n',
            '[forward]\nlisten = "443/tcp"\nto = "laptop:8443"\n',
            'forward = ["443/tcp=laptop:8443"]\n',
        ):
            config = self.server(text)
            self.assertEqual([forward(each) for each in config.forward], [Forward("tcp", 443, "laptop", 8443)])
        self.assertEqual(forward("53/udp=n.o-t_e:5").shown, "53/udp")

    def test_wrong(self) -> None:
        """What is none, or one port twice, is refused with the form that it has."""
        for each in (
            "443=laptop:443",
            "0/tcp=laptop:1",
            "1/tcp=laptop:65536",
            "1/sctp=laptop:1",
            "1/tcp=:1",
            "443/tcp",
        ):
            self.assertIn("443/tcp=laptop:443", str(forwards_wrong((each,))))
        self.assertEqual(forwards_wrong(("1/tcp=a:1", "1/tcp=b:2")), "forwards one port twice")
        self.assertIsNone(forwards_wrong(("1/tcp=a:1", "1/udp=b:2")))
        self.assertIsNotNone(forwards_wrong(tuple(f"{n}/tcp=a:1" for n in range(1, 66))))

    def test_own_ports(self) -> None:
        """A port that the server serves itself stays its own."""
        for port in ("8443/tcp", "8000/udp"):
            with self.assertRaisesRegex(ConfigError, f"'forward' has {port}, a port that this server serves itself"):
                self.server(f'forward = ["{port}=laptop:1"]\n')
        manhole = 'forward = ["2222/tcp=laptop:22"]\n[manhole]\nlisten = "192.0.2.1:2222"\n'
        with self.assertRaisesRegex(ConfigError, "'forward' has 2222/tcp"):
            self.server(manhole)
        self.server(f"{manhole}enabled = false\n")
        self.assertEqual(self.server('forward = ["8000/tcp=laptop:1"]\n').forward, ("8000/tcp=laptop:1",))
