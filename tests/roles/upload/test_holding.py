"""What is under way at a path."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError
from morphnet.roles.upload.holding import Holding


class HoldingTests(SynchronousTestCase):
    def test_held(self) -> None:
        """Who waits goes on at its end, however it ends, unless it is held once more by then; others are not held."""
        holding, gone_on = Holding(), list[str]()

        async def waits(name: str) -> None:
            await holding.free("a")
            gone_on.append(name)
            if name == "first":
                again.__enter__()

        again, once = holding.held("a"), holding.held("a")
        once.__enter__()
        waiting = [Deferred.fromCoroutine(waits(each)) for each in ("first", "second")]
        self.successResultOf(Deferred.fromCoroutine(holding.free("b")))
        self.assertEqual((gone_on, "a" in holding, "b" in holding), ([], True, False))
        with self.assertRaises(BugError), holding.held("a"):
            pass
        with self.assertRaises(ZeroDivisionError):
            once.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
            raise ZeroDivisionError
        self.assertEqual(gone_on, ["first"])
        again.__exit__(None, None, None)
        self.assertEqual((gone_on, "a" in holding), (["first", "second"], False))
        for each in waiting:
            self.successResultOf(each)

    def test_look(self) -> None:
        """What was seen while something was under way is stale, also if that is over by the time; others' is not."""
        holding = Holding()
        with holding.look("a") as before, holding.look("b") as other:
            with holding.held("a"), holding.look("a") as meanwhile:
                pass
            with holding.look("a") as after:
                pass
        self.assertEqual([each.stale for each in (before, meanwhile, after, other)], [True, False, False, False])
        self.assertEqual(holding._looks, {})
