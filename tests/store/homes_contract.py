"""What all Homes promise, as tests."""

from __future__ import annotations

from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from morphnet.store.homes import Homes, hidden

NOW = 2_500_000_000  # Unix seconds, far away: a store with a clock of its own drops nothing meanwhile
AT = NOW * 1000  # Unix milliseconds


class HomesContract(TestCase):
    """Import the module, not this name: trial would run it for itself."""

    def make_homes(self) -> Homes:
        """New and empty."""
        raise NotImplementedError

    def setUp(self) -> None:
        """Every test has its own."""
        self.homes = self.make_homes()

    async def test_invitation(self) -> None:
        """It is good once, until it expires; who has used it is known from then on."""
        await self.homes.invite(hidden("token"), NOW + 100)
        self.assertFalse(await self.homes.take("home", hidden("another"), NOW))
        self.assertTrue(await self.homes.take("home", hidden("token"), NOW))
        self.assertFalse(await self.homes.take("other", hidden("token"), NOW))
        self.assertEqual([await self.homes.is_known(each) for each in ("home", "other")], [True, False])
        await self.homes.invite(hidden("late"), NOW + 100)
        self.assertFalse(await self.homes.take("other", hidden("late"), NOW + 100))
        self.assertFalse(await self.homes.take("other", hidden("late"), NOW))

    async def test_several(self) -> None:
        """One for several homes is good for as many."""
        await self.homes.invite(hidden("token"), NOW + 100, 2)
        self.assertEqual([await self.homes.take(home, hidden("token"), NOW) for home in "abc"], [True, True, False])

    async def test_together(self) -> None:
        """Of two that come with one invitation at the same moment one is let in."""
        await self.homes.invite(hidden("token"), NOW + 100)
        names = ("one", "two")
        both = await gatherResults([self.homes.take(name, hidden("token"), NOW) for name in names])
        self.assertEqual(sorted(both), [False, True])
        self.assertEqual([await self.homes.is_known(name) for name in names], both)

    async def test_known(self) -> None:
        """One may be let in without an invitation, and twice is as good as once."""
        await self.homes.know("home", NOW)
        await self.homes.know("home", NOW + 1)
        self.assertTrue(await self.homes.is_known("home"))

    async def test_forget(self) -> None:
        """One that was known is not any more."""
        await self.homes.know("home", NOW)
        self.assertEqual([await self.homes.forget("home", AT), await self.homes.forget("home", AT)], [True, False])
        self.assertFalse(await self.homes.is_known("home"))

    async def test_stays_forgotten(self) -> None:
        """Who was forgotten comes back by no invitation of before, and uses none of it up; by a new one it does."""
        await self.homes.invite(hidden("old"), NOW + 100, 3, AT - 1)
        self.assertTrue(await self.homes.take("home", hidden("old"), NOW))
        await self.homes.forget("home", AT)
        self.assertEqual([await self.homes.take("home", hidden("old"), NOW) for _ in "123"], [False] * 3)
        self.assertFalse(await self.homes.is_known("home"))
        self.assertEqual([await self.homes.take(home, hidden("old"), NOW) for home in "abc"], [True, True, False])
        await self.homes.invite(hidden("new"), NOW + 100, 3, AT + 1)
        self.assertTrue(await self.homes.take("home", hidden("new"), NOW))
        self.assertTrue(await self.homes.is_known("home"))
        await self.homes.invite(hidden("older"), NOW + 100, 1, AT - 2)
        self.assertTrue(await self.homes.take("home", hidden("older"), NOW), "it was invited anew")
