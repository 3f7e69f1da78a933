"""A sysctl that is set for a while."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.kernel import Kernel
from morphnet.host.look import Look
from morphnet.host.sysctl import Sysctl

NAME = "net/ipv4/ip_forward"


@dataclass
class FakeSysctls:
    """A kernel and a look at it, as far as sysctls go."""

    values: dict[str, str] = field(default_factory=dict)
    writes: int = 0

    def sysctl(self, name: str) -> str | None:
        """Its value; None when there is none of that name."""
        return self.values.get(name)

    def set_sysctl(self, name: str, value: str) -> None:
        """Set it, and count the write."""
        self.values[name] = value
        self.writes += 1


class SysctlTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.fake = FakeSysctls({NAME: "0"})
        self.kernel, self.look = cast(Kernel, self.fake), cast(Look, self.fake)
        self.change = Sysctl(NAME, "1").prepared(self.kernel)

    def test_there_and_back(self) -> None:
        """It is set, stands, and is as before when it is undone."""
        self.change.apply(self.kernel)
        self.assertTrue(self.change.stands(self.look))
        self.change.undo(self.kernel)
        self.assertEqual(self.fake.values, {NAME: "0"})
        self.assertFalse(self.change.stands(self.look))

    def test_as_it_was(self) -> None:
        """One that has the value already is not written, neither then nor when it is undone."""
        self.fake.values[NAME] = "1"
        change = Sysctl(NAME, "1").prepared(self.kernel)
        change.apply(self.kernel)
        change.undo(self.kernel)
        self.assertEqual((self.fake.values, self.fake.writes), ({NAME: "1"}, 0))

    def test_somebody_else(self) -> None:
        """What somebody else has set meanwhile is his, and stays."""
        self.change.apply(self.kernel)
        self.fake.values[NAME] = "2"
        self.change.undo(self.kernel)
        self.assertEqual(self.fake.values, {NAME: "2"})

    def test_not_there(self) -> None:
        """A sysctl that this kernel does not have is not missed."""
        self.fake.values.clear()
        self.assertTrue(self.change.stands(self.look))
