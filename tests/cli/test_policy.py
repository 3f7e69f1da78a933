"""`morphnet policy check`, `test`, `publish`, `show`, `withdraw`."""

from __future__ import annotations

import json
import shutil

from click.testing import Result

from morphnet.cli import policy
from morphnet.cli.layout import Place
from morphnet.ops.rundir import REVOKED
from morphnet.pki.files import trusted_cas
from morphnet.pki.policy import FILE, sequence_of
from morphnet.pki.revocations import from_text
from morphnet.roles.certificates.publishing import SIGNED
from morphnet.store.base import CertificateRecord, PhoneRecord
from tests.cli.case import CommandCase

POLICY = """
[groups]
admins = ["laptop", "desk"]
[[allow]]
from = "@admins"
to = "home"
ports = ["22/tcp", "icmp"]
[[allow]]
from = "10.73.0.0/24"
to = ["world", "gateway"]
"""


class PolicyTests(CommandCase):
    def setUp(self) -> None:
        """A network with a laptop that has an address, and a home."""
        super().setUp()
        self.init()
        with self.ledger() as ledger:
            for number, name in enumerate(("laptop", "home")):
                ledger.add_certificate(CertificateRecord(f"ab{number}", name, "client", 1 << 32))
            ledger.lease("laptop", pool4="10.73.0.0/24", pool6="", fresh_session=bytes(16))
        self.write(POLICY)

    def write(self, text: str) -> None:
        (self.place.root / "policy.toml").write_text(text)

    def asked(self, *words: str) -> tuple[int, str]:
        found: Result = self.run_command("policy", "test", *words)
        return found.exit_code, found.stdout.strip()

    def sequence(self) -> int:
        """Of what the signed list says."""
        text = (self.place.state_dir / SIGNED).read_text()
        return sequence_of(from_text(text, *trusted_cas(self.place.pki_dir)).policy)

    def test_check(self) -> None:
        """A sound one is told to be so, with what may not be meant; a mistake is one sentence."""
        found = self.good("policy", "check")
        self.assertIn("is sound: 2 rules", found.stdout)
        self.assertEqual(found.stderr.strip(), "note: no machine is called desk (yet)")
        with self.ledger() as ledger:
            ledger.add_phone(PhoneRecord("desk", "a", "b", 1))
        self.assertEqual(self.good("policy", "check").stderr, "")
        self.write('[[allow]]\nfrom = "laptop"\nto = "home"\nports = "22/sctp"')
        self.assertIn("policy.toml: rule 1 of the policy: '22/sctp' are no ports", self.bad("policy", "check"))
        self.write('[[allow]]\nfrom = "laptop"\nto = "home"')
        self.assertEqual(len(self.good("policy", "check").stderr.splitlines()), 2)
        (self.place.root / "policy.toml").unlink()
        self.assertIn("docs/policy.md", self.bad("policy", "check"))

    def test_test(self) -> None:
        """It answers, and says which rule; names, addresses, networks."""
        self.assertEqual(
            self.asked("laptop", "home", "22/tcp"),
            (0, "yes (22/tcp): rule 1: from laptop, desk to home, ports 22/tcp, icmp"),
        )
        self.assertEqual(self.asked("laptop", "home", "80/tcp"), (3, "no: no rule lets laptop reach home at 80/tcp"))
        code, said = self.asked("laptop", "home", "22")
        self.assertEqual((code, [line[:3] for line in said.splitlines()]), (3, ["yes", "no:"]))
        self.assertEqual(
            [self.asked(*each)[0] for each in (("desk", "home", "icmp"), ("home", "desk", "icmp"))], [0, 3]
        )
        self.assertEqual(self.asked("laptop", "9.9.9.9", "443")[0], 0)
        told = self.run_command("policy", "test", "laptop", "home.morph", "22/tcp")
        self.assertIn("note: no machine is called home.morph (yet): here it is home", told.stderr)
        self.assertEqual(told.exit_code, 3)
        self.assertEqual(self.asked("10.73.0.2", "home", "22/tcp")[0], 0)
        self.assertEqual(self.asked("home", "world", "443")[0], 3)  # it has no address yet
        for words in (("laptop", "*", "22"), ("laptop", "10.0.0.0/8", "22"), ("laptop", "home", "*")):
            self.assertEqual(self.run_command("policy", "test", *words).exit_code, 1)

    def test_gateway(self) -> None:
        """Whatever it is asked by, the gateway is both that and what it is called, as for those who judge."""
        self.patch(policy, "public_addresses", lambda: ("203.0.113.5",))
        for name in ("gateway", "gw"):
            self.write(f'[[allow]]\nfrom = "laptop"\nto = "{name}"')
            for asked in ("gateway", "gw", "10.73.0.1", "fd73::1", "203.0.113.5"):
                self.assertEqual(self.asked("laptop", asked, "53/udp")[0], 0, (name, asked))
        self.assertEqual(self.asked("laptop", "10.73.0.9", "53/udp")[0], 3)

    def test_publish(self) -> None:
        """It is in the signed list, and every later one; published again it is the same; its sequence only grows."""
        self.assertIn("everybody may everything", self.good("policy", "show").stdout)
        self.assertIn("with 2 rules is published", self.good("policy", "publish").stdout)
        first = self.sequence()
        self.good("policy", "publish")
        self.assertEqual(self.sequence(), first)
        self.good("pki", "revoke", "home")
        self.assertEqual(self.sequence(), first)
        self.assertEqual(len(self.good("policy", "show").stdout.splitlines()), 3)
        self.write("")
        self.assertIn("laptop, desk", self.good("policy", "test", "laptop", "home", "22/tcp", "--in-force").stdout)
        self.assertEqual(self.asked("laptop", "home", "22/tcp")[0], 3)
        self.good("policy", "publish")
        self.assertGreater(self.sequence(), first)
        self.assertEqual(
            json.loads(self.good("policy", "show", "--json").stdout), {"sequence": self.sequence(), "allow": []}
        )
        self.assertIn("withdrawn", self.good("policy", "withdraw").stdout)
        self.assertIn("There has been no policy since", self.good("policy", "withdraw").stdout)
        self.assertEqual(self.asked("laptop", "home", "22/tcp", "--in-force")[0], 0)

    def test_old_files(self) -> None:
        """An old copy of the CA's files does not bring an old policy back: what was heard or signed since counts."""
        self.good("policy", "publish")
        kept = self.place.pki_dir / FILE
        shutil.copy(kept, "old")
        self.write("")
        self.good("policy", "publish")
        last = self.sequence()
        shutil.copy("old", kept)
        self.good("pki", "revoke", "home")
        self.assertEqual(self.sequence(), last)
        self.good("policy", "withdraw")
        self.assertGreater(self.sequence(), last)

    def test_elsewhere(self) -> None:
        """A client answers by what it has heard, names alone; where nothing was set up there is nothing to ask."""
        other = Place(self.place.root / "other")
        self.assertTrue(self.bad("policy", "show", place=other))
        for verb in ("check", "publish", "withdraw"):
            self.assertIn("run `morphnet init` on the server", self.bad("policy", verb, place=other))
        self.good("policy", "publish")
        for each in (other.root, other.state_dir, other.pki_dir):
            each.mkdir(0o755)
        shutil.copy(self.place.pki_dir / "ca.pem", other.pki_dir)
        text = f'name = "laptop"\nserver = "gw"\npki_dir = "{other.pki_dir}"\nstate_dir = "{other.state_dir}"\n'
        other.client_toml.write_text(text)
        self.assertIn("everybody may everything", self.good("policy", "show", place=other).stdout)
        shutil.copy(self.place.state_dir / SIGNED, other.state_dir / REVOKED)
        self.assertIn(
            "yes (22/tcp): rule 1", self.good("policy", "test", "laptop", "home", "22/tcp", place=other).stdout
        )
        asked = self.run_command("policy", "test", "10.73.0.2", "home", "22/tcp", place=other)
        self.assertEqual((asked.exit_code, "ask about names here" in asked.stderr), (3, True))
