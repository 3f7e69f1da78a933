"""What an operator may say about how uplinks are used."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import load, loads, render
from morphnet.config.roles import ClientConfig
from morphnet.config.uplinks import PLAIN, UplinkPolicy, policies_wrong, policy, policy_for
from morphnet.errors import ConfigError

HERE = Path("client.toml")
SECTION = """[uplinks."wwan*"]
priority = 20
backup = true
metered = true
never = false
cap = "20 GB"
cap_day = 15
at_cap = "never"
rate = "8 Mbit/s"
"""


def client(text: str) -> ClientConfig:
    return loads(ClientConfig, f'server = "gw.example"\n{text}', HERE)


class PolicyTests(SynchronousTestCase):
    def test_section(self) -> None:
        """Everything that a section may say; the list `uplinks` keeps its meaning."""
        (found,) = client(SECTION).policies()
        self.assertEqual(
            found, UplinkPolicy("wwan*", 20, True, True, False, 20 * 10**9, 15, "never", rate_up=1e6, rate_down=1e6)
        )
        listed = client('uplinks = ["wan0"]\nuplink_policies = ["wan0 backup rate_up=1Mbit/s"]')
        self.assertEqual(listed.uplinks, ("wan0",))
        self.assertEqual(listed.policies(), (UplinkPolicy("wan0", backup=True, rate_up=125_000.0),))

    def test_command_line(self) -> None:
        """It may be said there, and what `render` writes is read as it was."""
        config = load(ClientConfig, None, {"server": "gw", "uplink_policies": "wan0 backup, wan1 cap=500MB"})
        self.assertEqual([each.name for each in config.policies()], ["wan0", "wan1"])
        text = render(ClientConfig, {"server": "gw.example", "uplink_policies": config.uplink_policies})
        self.assertEqual(loads(ClientConfig, text, HERE).policies(), config.policies())

    def test_amounts(self) -> None:
        """Thousands, or 1024 with an i; rates are bits."""
        self.assertEqual(policy("a cap=1.5GB").cap, 1_500_000_000)
        self.assertEqual(policy("a cap=1GiB").cap, 1 << 30)
        self.assertEqual(policy("a rate_down=64kbit/s").rate_down, 8000.0)

    def test_which(self) -> None:
        """The exact name counts before any pattern, of patterns the first; for others nothing is said."""
        found = [policy(each) for each in ("w* priority=1", "wwan* priority=2", "wwan0 priority=3", "wl[0-9] backup")]
        numbers = [policy_for(name, found).priority for name in ("wwan0", "wwan1", "wlan0", "eth0")]
        self.assertEqual(numbers, [3, 1, 1, 10])
        self.assertIs(policy_for("eth0", found), PLAIN)

    def test_mistakes(self) -> None:
        """One sentence for each, with the line."""
        wrong = {
            "[uplinks.wwan0]\nbakcup = true\n": "did you mean 'backup'",
            "[uplinks.wwan0]\nspeed = 3\n": "no such setting; there are rate, priority",
            '[uplinks.wwan0]\nbackup = "yes"\n': "must be true or false",
            '[uplinks.wwan0]\ncap = 20\n[uplinks.x]\ncap = "many"\n': "bytes like 20 GB",
            "[uplinks.wwan0]\ncap_day = 32\n": "must be 1 to 31",
            '[uplinks.wwan0]\nrate = "8 MB/s"\n': "bits a second",
            '[uplinks.wwan0]\nrate = "8 bit/s"\n': "bits a second",
            '[uplinks.wwan0]\nat_cap = "stop"\n': "last or never",
            "[uplinks.wwan0]\npriority = 100\n": "must be 0 to 99",
            '[uplinks."a/b"]\nbackup = true\n': "must name devices",
            "uplinks = { wwan0 = 3 }\n": "list of strings",
            'uplink_policies = ["a backup", "a never"]\n': "names an uplink twice",
            'uplink_policies = [""]\n': "must name devices",
        }
        for text, sentence in wrong.items():
            with self.assertRaisesRegex(ConfigError, sentence) as raised:
                client(text)
            self.assertRegex(str(raised.exception), r"client.toml, line [2-5]: ")
        self.assertIn("at most", policies_wrong(tuple(f"w{number}" for number in range(65))) or "")
