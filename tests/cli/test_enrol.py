"""`morphnet init`, `invite`, `join`: what is made, with which modes, and what is said when it goes wrong."""

from __future__ import annotations

import socket
import time
import tomllib

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from morphnet.cli.enrol import enter
from morphnet.cli.joining import Membership
from morphnet.cli.layout import Place
from morphnet.config.file import load
from morphnet.config.roles import ClientConfig, ServerConfig
from morphnet.durable import make_directory
from morphnet.errors import HostError
from morphnet.pki.authority import Authority, describe, names_of
from morphnet.pki.files import load_authority, load_credentials, read_certificate
from morphnet.pki.invitation import PREFIX, Invitation, decode
from tests.cli.case import CommandCase


class InitTests(CommandCase):
    def test_makes(self) -> None:
        """CA, server certificate, configuration, database, and an empty list of keys; secrets for their owner alone."""
        self.init()
        self.assertEqual(
            self.modes(),
            {
                ".": "0o700",
                "pki": "0o700",
                "pki/ca.key": "0o600",
                "pki/ca.pem": "0o644",
                "pki/gw.key": "0o600",
                "pki/gw.pem": "0o644",
                "relay.toml": "0o644",
                "server.toml": "0o644",
                "authorized_keys": "0o600",
                "state": "0o700",
                "state/morphnet.db": "0o600",
            },
        )
        self.assertEqual(names_of(read_certificate(self.place.pki_dir, "gw")), ["gw", "vpn.example.org", "192.0.2.1"])
        load_credentials(self.place.pki_dir, "gw")

    def test_configuration(self) -> None:
        """The file loads as it is, names this place, and shows every other setting as a comment."""
        self.init()
        config = load(ServerConfig, self.place.server_toml, {})
        self.assertEqual(
            (config.name, config.pki_dir, config.state_dir, config.manhole.authorized_keys),
            ("gw", self.place.pki_dir, self.place.state_dir, self.place.authorized_keys),
        )
        text = self.place.server_toml.read_text()
        self.assertIn("#control_port = 8443", text)
        self.assertNotIn("control_port", tomllib.loads(text))

    def test_says_what_next(self) -> None:
        """The last words are the next commands, ready to be copied."""
        said = self.good("init", "--name", "gw", "--address", "192.0.2.1").stdout
        self.assertIn(f"Next: morphnet up --dir {self.place.root}\n", said)
        self.assertIn(f"morphnet invite laptop --dir {self.place.root}\n", said)
        self.assertIn(f"without a gateway: morphnet up relay --dir {self.place.root} instead.\n", said)

    def test_never_over_another(self) -> None:
        """A network that is there is not touched."""
        self.init()
        before = self.place.pki_dir.joinpath("ca.key").read_bytes()
        self.assertIn("there is a network already", self.bad("init", "--name", "gw"))
        self.assertEqual(self.place.pki_dir.joinpath("ca.key").read_bytes(), before)

    def test_half_done(self) -> None:
        """When it fails in the middle nothing is in the way of the next try."""
        self.place.root.mkdir(0o755)
        self.place.state_dir.write_text("in the way")
        self.bad("init", "--name", "gw", "--address", "192.0.2.1")
        self.place.state_dir.unlink()
        self.init()

    def test_wrong_words(self) -> None:
        """A name or an address that is none; a directory that cannot be."""
        self.assertIn("no name for a machine", self.bad("init", "--name", "a/b"))
        self.patch(socket, "gethostname", lambda: "server")
        self.assertIn("this host will not do: 'server' is a reserved word", self.bad("init", "--address", "192.0.2.1"))
        self.assertIn("neither a DNS name", self.bad("init", "--name", "gw", "--address", "http://x"))
        self.place.root.write_text("a file")
        self.assertIn(str(self.place.root), self.bad("init", "--name", "gw", "--address", "192.0.2.1"))

    def test_own_authorized_keys_stay(self) -> None:
        """A list of keys that is there already is kept."""
        self.place.root.mkdir(0o755)
        self.place.authorized_keys.write_text("ssh-ed25519 AAAA me\n")
        self.init()
        self.assertEqual(self.place.authorized_keys.read_text(), "ssh-ed25519 AAAA me\n")


class InviteTests(CommandCase):
    def setUp(self) -> None:
        """A network."""
        super().setUp()
        self.init()

    def test_line(self) -> None:
        """One line on standard output and nothing else, so that it can be piped; it holds all that a machine needs."""
        result = self.good("invite", "laptop")
        self.assertEqual(result.stdout.count("\n"), 1)
        invited = decode(result.stdout)
        self.assertEqual((invited.name, invited.server_name), ("laptop", "gw"))
        self.assertEqual(invited.address, "vpn.example.org:8443")
        self.assertEqual(invited.ca, read_certificate(self.place.pki_dir, "ca"))
        self.assertApproximates(invited.not_after, time.time() + 86400, 60)
        self.assertIn("Good once", result.stderr)

    def test_registered(self) -> None:
        """The store knows it, so that it can be used once and revoked."""
        invited = self.invitation("laptop")
        serial = describe(invited.certificate).serial
        with self.ledger() as ledger:
            known = [(each.name, each.kind, each.serial == serial) for each in ledger.certificates()]
        self.assertEqual(known, [("gw", "server", False), ("laptop", "invite", True)])

    def test_options(self) -> None:
        """Longer, and to another address of the server."""
        invited = self.invitation("Laptop", "--days", "3", "--server", "[2001:db8::1]:99")
        self.assertEqual((invited.name, invited.address), ("laptop", "[2001:db8::1]:99"))
        self.assertApproximates(invited.not_after, time.time() + 3 * 86400, 60)

    def test_file(self) -> None:
        """Into a file that only its owner may read, and never over another."""
        file = self.place.root / "laptop.invite"
        self.assertNotIn(PREFIX, self.good("invite", "laptop", "--file", str(file)).output)
        self.assertEqual(decode(file.read_text()).name, "laptop")
        self.assertEqual(self.modes()["laptop.invite"], "0o600")
        self.assertIn("is there already", self.bad("invite", "laptop", "--file", str(file)))

    def test_qr(self) -> None:
        """As a QR code that fits a terminal."""
        rows = [line for line in self.good("invite", "laptop", "--qr").stdout.split("\n") if "█" in line]
        self.assertLess(max(map(len, rows)), 100)
        self.assertGreater(len(rows), 30)

    def test_wrong(self) -> None:
        """No network, no CA, a name that is none or the server's own, a mistake in the configuration."""
        self.assertIn("morphnet init", self.bad("invite", "laptop", place=Place(self.place.root / "nowhere")))
        self.assertIn("no name", self.bad("invite", "../laptop"))
        self.assertIn("taken for an address", self.bad("invite", "10.73.0.3"))
        self.assertIn("this server itself", self.bad("invite", "gw"))
        self.assertIn("neither a DNS name", self.bad("invite", "laptop", "--server", "x y"))
        self.place.pki_dir.joinpath("ca.key").chmod(0o644)
        self.assertIn("chmod 600", self.bad("invite", "laptop"))
        self.place.pki_dir.joinpath("ca.key").unlink()
        self.assertIn("no CA", self.bad("invite", "laptop"))
        self.place.server_toml.write_text("naem = 'gw'\n")
        self.assertIn("server.toml, line 1", self.bad("invite", "laptop"))


class JoinTests(CommandCase):
    def setUp(self) -> None:
        """A network, and another machine."""
        super().setUp()
        self.init()
        self.laptop = Place(self.place.root / "laptop")

    def _sign(self, invited: Invitation, key: Ed25519PrivateKey) -> x509.Certificate:
        authority: Authority = load_authority(self.place.pki_dir)
        return authority.client(key.public_key(), invited.name, now=time.time())

    def _enter(self, invited: Invitation) -> None:
        enter(self.laptop, invited, invited.address, lambda key: Membership(self._sign(invited, key)))

    def test_makes(self) -> None:
        """Certificate, key, CA and configuration; the key for its owner alone."""
        self._enter(self.invitation("laptop"))
        self.assertEqual(
            self.modes(self.laptop),
            {
                ".": "0o700",
                "pki": "0o700",
                "pki/ca.pem": "0o644",
                "pki/laptop.key": "0o600",
                "pki/laptop.pem": "0o644",
                "client.toml": "0o644",
                "authorized_keys": "0o600",
            },
        )
        load_credentials(self.laptop.pki_dir, "laptop")
        config = load(ClientConfig, self.laptop.client_toml, {})
        self.assertEqual((config.server, config.server_name, config.name), ("vpn.example.org:8443", "gw", "laptop"))
        self.assertEqual(config.pki_dir, self.laptop.pki_dir)

    def test_failure_leaves_all(self) -> None:
        """When the server cannot be reached what was there is there, and nothing more."""
        invited = self.invitation("laptop")
        self._enter(invited)
        before = {each: each.read_bytes() for each in self.laptop.root.rglob("*") if each.is_file()}

        def unreachable(key: Ed25519PrivateKey) -> x509.Certificate:
            raise HostError("cannot reach the server")

        self.assertRaises(HostError, enter, self.laptop, invited, invited.address, unreachable)
        self.assertEqual({each: each.read_bytes() for each in self.laptop.root.rglob("*") if each.is_file()}, before)

    def test_failure_leaves_nothing(self) -> None:
        """On a machine that had nothing there is nothing afterwards: not even the directories on the way there."""
        invited, deep = self.invitation("laptop"), Place(self.laptop.root / "etc" / "morphnet")

        def unreachable(key: Ed25519PrivateKey) -> x509.Certificate:
            self.assertTrue(deep.pki_dir.is_dir())
            raise HostError("cannot reach the server")

        self.assertRaises(HostError, enter, deep, invited, invited.address, unreachable)
        self.assertFalse(self.laptop.root.exists())
        make_directory(deep.root)
        self.assertRaises(HostError, enter, deep, invited, invited.address, unreachable)
        self.assertEqual(list(deep.root.iterdir()), [])

    def test_again(self) -> None:
        """A machine that has joined is asked first; the configuration that was there is kept aside."""
        line = self.good("invite", "laptop").stdout
        self._enter(decode(line))
        self.laptop.client_toml.write_text("# mine\n")
        self.assertIn("--replace", self.bad("join", line, place=self.laptop))
        self._enter(decode(line))
        self.assertEqual(self.laptop.client_toml.with_suffix(".toml.old").read_text(), "# mine\n")

    def test_another_network(self) -> None:
        """The CA of another network is not replaced by accident; the CA of one's own server never."""
        other = Place(self.place.root / "other")
        self.good("init", "--name", "gw2", "--address", "192.0.2.2", place=other)
        line = self.good("invite", "laptop", place=other).stdout
        self._enter(self.invitation("laptop"))
        self.assertIn("another network", self.bad("join", line, place=self.laptop))
        self.assertIn("another network", self.bad("join", line, "--replace"))

    def test_mangled(self) -> None:
        """A line that was cut, a file that is none or does not exist, a stream of nonsense: one sentence each."""
        line = self.good("invite", "laptop").stdout.strip()
        self.assertIn("copy the line again", self.bad("join", line[:-3], place=self.laptop))
        self.assertIn("copy the line again", self.bad("join", str(self.place.server_toml), place=self.laptop))
        self.assertIn("no such file", self.bad("join", "no-such-file", place=self.laptop))
        for stream in (b"", b"\xff\xfe\x00", b"x" * 100000):
            self.assertIn("copy the line again", self.bad("join", "-", place=self.laptop, stdin=stream))
        self.assertFalse(self.laptop.root.exists())

    def test_wrong_address(self) -> None:
        """An address that is none is told before anything is made."""
        line = self.good("invite", "laptop").stdout
        self.assertIn("neither a DNS name", self.bad("join", line, "--server", "x y", place=self.laptop))
        self.assertFalse(self.laptop.root.exists())
