"""Keys that are no settings."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.unknown import refuse_unknown
from morphnet.errors import ConfigError

KNOWN = (("name",), ("nat",), ("tuning", "scheduler"), ("tuning", "mtu"))


class UnknownTests(SynchronousTestCase):
    def refused(self, *at: str) -> str:
        """The sentence with which a key is refused."""
        return str(self.assertRaises(ConfigError, refuse_unknown, at, KNOWN, "x.toml, line 3: "))

    def test_known(self) -> None:
        """A setting passes; a table of settings where one may stand."""
        refuse_unknown(("tuning", "mtu"), KNOWN)
        refuse_unknown(("tuning",), KNOWN, table=True)
        self.assertRaises(ConfigError, refuse_unknown, ("tuning",), KNOWN)

    def test_meant(self) -> None:
        """It is said which setting or table was meant, when one is near, and where it stands."""
        there = "x.toml, line 3: there is no setting"
        self.assertEqual(self.refused("nam"), f"{there} 'nam'; did you mean 'name'?")
        self.assertEqual(self.refused("tunin"), f"{there} 'tunin'; did you mean 'tuning'?")
        self.assertEqual(self.refused("tuning", "mtuu"), f"{there} 'tuning.mtuu'; did you mean 'mtu'?")
        self.assertEqual(self.refused("whatever"), f"{there} 'whatever'")

    def test_elsewhere(self) -> None:
        """One that belongs into another table is told where."""
        self.assertTrue(self.refused("mtu").endswith("'mtu' belongs below [tuning]"))
        self.assertTrue(self.refused("tuning", "nat").endswith("'nat' belongs to the top, before the first [table]"))

    def test_shown(self) -> None:
        """A key may be long or hold anything: the sentence is short, and one line."""
        said = self.refused("\n" * 1000)
        self.assertLess(len(said), 250)
        self.assertNotIn("\n", said)
