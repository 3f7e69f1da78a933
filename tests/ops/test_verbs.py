"""The tables of verbs."""

from __future__ import annotations

import inspect

from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops import verbs
from morphnet.ops.verb import Answer
from tests.ops.fakes import FakeNode


class TableTests(SynchronousTestCase):
    tables = (verbs.of_sessions(FakeNode()) + verbs.of_peers(FakeNode()), verbs.of_a_relay(FakeNode()))

    def test_once(self) -> None:
        """A process offers no two verbs of one name."""
        for table in self.tables:
            self.assertEqual(len({verb.name for verb in table}), len(table))

    def test_fit(self) -> None:
        """Each verb's fields are what its call takes, with a sink for lines of text; and it says what it does."""
        for verb in sum(self.tables, ()):
            said = {field.name: field.default for field in verb.fields}
            more = {"sink": print} if verb.answer is Answer.LINES else {}
            inspect.signature(verb.call).bind(**said, **more)
            self.assertTrue(verb.help.endswith("."), verb.name)
            if verb.answer is Answer.LINES:
                self.assertIn("seconds", said)
