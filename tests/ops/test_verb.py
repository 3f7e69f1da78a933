"""What a process offers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.ops.verb import Field, Verb
from morphnet.ops.verbs import NAME, ONE_SESSION, PATH, SESSION, seconds


class FieldTests(SynchronousTestCase):
    def refused(self, field: Field, *values: object) -> None:
        """None of these is a value for it."""
        for value in values:
            self.assertRaises(ConfigError, field.checked, value)

    def test_numbers(self) -> None:
        """A number is of its kind and within its bounds; a truth is none."""
        self.assertEqual([PATH.checked(each) for each in (0, 255)], [0, 255])
        self.refused(PATH, -1, 256, 1.5, True, None)
        self.assertEqual(seconds(10.0).checked(2), 2.0)
        self.refused(seconds(10.0), 0, 3601, float("nan"), True)
        self.assertEqual(seconds(5.0, least=0).checked(0), 0.0)

    def test_or_name(self) -> None:
        """Where a name stands for a number it is one that is not empty, and not endless."""
        self.assertEqual(PATH.checked("wan0"), "wan0")
        self.refused(PATH, "", "x" * 65)
        self.refused(seconds(10.0), "wan0")

    def test_strings(self) -> None:
        """A name that is needed is not empty; one that is not may be."""
        self.assertEqual((NAME.checked("x"), SESSION.checked("")), ("x", ""))
        self.refused(ONE_SESSION, "", 1, None)

    def test_truth(self) -> None:
        """Only true and false are."""
        self.assertIs(Field("follow", False).checked(True), True)
        self.refused(Field("follow", False), 0, "yes")


class VerbTests(SynchronousTestCase):
    verb = Verb("cut", "Close a path.", (PATH, SESSION), lambda path, session: f"{path} {session}")

    def test_filled(self) -> None:
        """What was not said is as it is by default."""
        self.assertEqual(self.verb.filled({"path": 3}), {"path": 3, "session": ""})
        self.assertEqual(self.verb.call(**self.verb.filled({"path": 3, "session": "x"})), "3 x")

    def test_missing(self) -> None:
        """What is needed has to be said."""
        self.assertEqual(str(self.assertRaises(ConfigError, self.verb.filled, {})), "cut needs 'path'")
