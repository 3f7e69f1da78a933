"""`morphnet invite NAME --wireguard`, `phones` and `revoke`, while no server runs: with one, tests.lab.test_phones."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from morphnet.cli import commands
from morphnet.cli.layout import now
from morphnet.errors import HostError
from morphnet.roles.server.wireguard import server_key
from morphnet.store.base import CertificateRecord, PhoneRecord
from morphnet.store.ledger import Ledger
from morphnet.wire.wireguard import public_key
from tests.cli.case import CommandCase

NET = "0.0.0.0:51820"


def settings(config: str) -> dict[str, str]:
    """Of a file for WireGuard, in which no key comes twice here."""
    return dict(line.split(" = ", 1) for line in config.splitlines() if " = " in line)


NAMES = "10.73.0.1, fd73::1, morph"


class PhoneCase(CommandCase):
    """A server that speaks WireGuard."""

    def setUp(self) -> None:
        super().setUp()
        self.init()
        self.set("wireguard.listen", NET)

    def set(self, key: str, value: str) -> None:
        self.good("set", "--role", "server", key, value)

    def given(self, name: str, *words: str) -> dict[str, str]:
        told = json.loads(self.good("invite", name, "--wireguard", "--json", *words).stdout)
        return settings(str(told["config"]))


class InviteTests(PhoneCase):
    def test_config(self) -> None:
        """It holds all that the app needs; of the private key nothing is kept here."""
        found = self.given("phone")
        ours = public_key(server_key(self.place.pki_dir))
        with self.ledger() as ledger:
            (kept,) = ledger.phones()
            (lease,) = ledger.leases()
        self.assertEqual(kept.public_key, public_key(found["PrivateKey"]))
        self.assertEqual((found["PublicKey"], found["PresharedKey"]), (ours, kept.preshared_key))
        self.assertEqual(found["Address"], f"{lease.inner4}/32, {lease.inner6}/128")
        self.assertEqual((found["Endpoint"], found["AllowedIPs"]), ("vpn.example.org:51820", "0.0.0.0/0, ::/0"))
        self.assertEqual((found["MTU"], found["PersistentKeepalive"], found["DNS"]), ("1420", "25", NAMES))
        kept_files = [each for each in self.place.root.rglob("*") if each.is_file()]
        self.assertFalse(any(found["PrivateKey"].encode() in each.read_bytes() for each in kept_files))
        self.assertEqual(self.modes()["pki/wireguard_private.key"], "0o600")

    def test_split(self) -> None:
        """Only the inner networks, and those behind clients; then the server's DNS is not asked."""
        self.set("dns", "10.73.0.1")
        with self.ledger() as ledger:
            ledger.approve("laptop", "192.168.7.0/24")
        self.assertEqual(
            self.given("phone")["DNS"], "10.73.0.1"
        )  # somebody else answers there, and knows no names of ours
        self.set("dns", "192.0.2.53")
        self.assertEqual(self.given("other")["DNS"], NAMES)
        self.set("names.serve", "false")
        self.assertEqual(self.given("third")["DNS"], "192.0.2.53")
        found = self.given("tablet", "--split", "--server", "192.0.2.9:443")
        self.assertEqual(found["AllowedIPs"], "10.73.0.0/24, fd73::/64, 192.168.7.0/24")
        self.assertEqual(("DNS" in found, found["Endpoint"]), (False, "192.0.2.9:443"))

    def test_endpoint(self) -> None:
        """It calls the port where the server listens, wherever the server is."""
        self.set("wireguard.listen", "[::]:443")
        self.assertEqual(self.given("phone")["Endpoint"], "vpn.example.org:443")
        self.assertEqual(self.given("tablet", "--server", "2001:db8::1")["Endpoint"], "[2001:db8::1]:443")

    def test_one_family(self) -> None:
        """Without inner IPv6 none is led past the tunnel; with a split one there is nothing to lead."""
        self.set("pool6", "")
        self.assertEqual(self.given("phone")["AllowedIPs"], "0.0.0.0/0, ::/0")
        self.assertEqual(self.given("tablet", "--split")["AllowedIPs"], "10.73.0.0/24")

    def test_shown(self) -> None:
        """Text and a code to scan; or files that their owner alone may read, and nothing on the terminal."""
        shown = self.good("invite", "phone", "--wireguard")
        self.assertIn("PrivateKey = ", shown.stdout)
        self.assertIn("\u2588", shown.stdout)
        self.assertIn("phone is 10.73.0.2 and fd73::2: the server does not run here now", shown.stderr)
        file, png = (Path(self.mktemp()).absolute() for _ in range(2))
        shown = self.good("invite", "tablet", "--wireguard", "--file", str(file), "--png", str(png))
        self.assertNotIn("PrivateKey", shown.output)
        self.assertIn("PrivateKey = ", file.read_text())
        self.assertEqual(png.read_bytes()[:4], b"\x89PNG")
        self.assertEqual({each.stat().st_mode & 0o777 for each in (file, png)}, {0o600})
        self.assertIn("is there already", self.bad("invite", "other", "--wireguard", "--file", str(file)))

    def test_again(self) -> None:
        """A second time is for who says so: its addresses stay, its first keys end."""
        first = self.given("phone")
        self.assertIn("--replace gives it new keys", self.bad("invite", "phone", "--wireguard"))
        second = self.given("phone", "--replace")
        self.assertEqual(first["Address"], second["Address"])
        self.assertNotEqual(first["PrivateKey"], second["PrivateKey"])
        with self.ledger() as ledger:
            self.assertEqual([each.public_key for each in ledger.phones()], [public_key(second["PrivateKey"])])

    def test_files_fail(self) -> None:
        """A file that cannot be written costs nothing: no keys are good that nobody has, and those before still are."""
        nowhere, file = Path("nowhere") / "x", Path(self.mktemp())
        self.bad("invite", "phone", "--wireguard", "--file", str(nowhere))
        first = self.given("phone")
        for words in (("--file", str(nowhere)), ("--file", str(file), "--png", str(nowhere))):
            self.bad("invite", "phone", "--wireguard", "--replace", *words)
        self.assertFalse(file.exists())
        self.assertIn("give two", self.bad("invite", "other", "--wireguard", "--file", "x", "--png", "x"))
        with self.ledger() as ledger:
            self.assertEqual([each.public_key for each in ledger.phones()], [public_key(first["PrivateKey"])])

    def test_not_kept(self) -> None:
        """When the records cannot be written there are no files with keys that are good for nothing."""

        def full(ledger: Ledger, phone: PhoneRecord) -> None:
            raise HostError("the disk is full")

        file = Path(self.mktemp())
        self.patch(Ledger, "add_phone", full)
        self.assertIn("disk is full", self.bad("invite", "phone", "--wireguard", "--file", str(file)))
        self.assertFalse(file.exists())

    def test_long(self) -> None:
        """What is too long for a code is shown without one; a picture of it there is not."""
        with self.ledger() as ledger:
            for number in range(200):
                ledger.approve("laptop", f"192.168.{number}.0/24")
        words = "invite", "phone", "--wireguard", "--split"
        self.assertIn("too long for a QR code", self.bad(*words, "--png", "x.png"))
        shown = self.good(*words)
        self.assertIn("192.168.199.0/24", shown.stdout)
        self.assertNotIn("\u2588", shown.stdout)
        self.assertIn("too long for a QR code", shown.stderr)

    def test_old_terminal(self) -> None:
        """One that cannot show a code is given the text all the same, and all that is said with it."""
        words = ["invite", "phone", "--wireguard", "--dir", str(self.place.root)]
        shown = CliRunner(charset="latin-1").invoke(commands, words, catch_exceptions=False)
        self.assertEqual(shown.exit_code, 0)
        self.assertIn("PrivateKey = ", shown.stdout)
        for said in ("shows no QR code", "This is shown once", "phone is 10.73.0.2"):
            self.assertIn(said, shown.stderr)

    def test_full(self) -> None:
        """Without an address there is no phone."""
        self.set("pool4", "10.73.0.0/30")
        self.given("phone")
        self.assertIn("no inner address is left", self.bad("invite", "tablet", "--wireguard"))
        with self.ledger() as ledger:
            self.assertEqual([each.name for each in ledger.phones()], ["phone"])

    def test_off(self) -> None:
        """Where it is off the operator is told how it is turned on."""
        self.set("wireguard.listen", "")
        self.assertIn(f"morphnet set wireguard.listen {NET} --dir", self.bad("invite", "phone", "--wireguard"))


class NamesTests(PhoneCase):
    def test_a_machine(self) -> None:
        """The name of a machine, or of one that is invited, is no phone's, until that is revoked."""
        self.invitation("laptop")
        with self.ledger() as ledger:
            ledger.add_certificate(CertificateRecord("1f", "desk", "client", int(now()) + 1000))
            ledger.add_certificate(CertificateRecord("2f", "gone", "client", int(now()) - 1))
        self.assertIn("laptop was invited to join with morphnet", self.bad("invite", "laptop", "--wireguard"))
        self.assertIn("desk has a certificate: choose another", self.bad("invite", "desk", "--wireguard"))
        self.assertIn("is this server itself", self.bad("invite", "gw", "--wireguard"))
        self.given("gone")
        self.good("revoke", "laptop")
        self.given("laptop")

    def test_a_phone(self) -> None:
        """And the other way about."""
        self.given("phone")
        self.assertIn("phone comes by WireGuard: `morphnet revoke phone` first", self.bad("invite", "phone"))
        self.good("revoke", "phone")
        self.invitation("phone")

    def test_words_of_it(self) -> None:
        """What means nothing without it is told so."""
        for word in ("--split", "--replace", "--json"):
            self.assertIn("go with --wireguard", self.bad("invite", "laptop", word))


class RevokeTests(PhoneCase):
    def test_phone(self) -> None:
        """It is gone; its addresses are another's only when they are released."""
        self.given("phone")
        said = self.good("revoke", "phone").stdout
        self.assertEqual(said, "Revoked the WireGuard keys of phone; nothing of ours runs here now.\n")
        self.assertIn("10.73.0.3", self.given("tablet")["Address"])
        self.good("revoke", "tablet", "--release")
        self.assertIn("10.73.0.3", self.given("watch")["Address"])
        self.assertIn("nobody is called 'phone'", self.bad("revoke", "phone"))

    def test_everybody_else(self) -> None:
        """For machines with certificates it is `morphnet pki revoke`."""
        self.invitation("laptop")
        self.assertIn("Revoked 1 of laptop", self.good("revoke", "laptop").stdout)


class PhonesTests(PhoneCase):
    def test_list(self) -> None:
        """Without a server it says who there is."""
        self.assertIn("nobody comes by WireGuard", self.good("phones").stdout)
        self.given("phone")
        (found,) = json.loads(self.good("phones", "--json").stdout)["phones"]
        self.assertEqual((found["name"], found["inner"]), ("phone", ["10.73.0.2", "fd73::2"]))
        self.assertIn("does not run here", self.good("phones").stdout)
