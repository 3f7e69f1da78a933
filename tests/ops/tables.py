"""What holds for every table of verbs."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.verb import Answer, Verb


def assert_fit(case: SynchronousTestCase, verbs: Sequence[Verb]) -> None:
    """No two have one name; the fields of each are what its call takes, and a sink for lines; it says what it does."""
    case.assertEqual(len({verb.name for verb in verbs}), len(verbs))
    for verb in verbs:
        said = {field.name: field.default for field in verb.fields}
        more = {"sink": print} if verb.answer is Answer.LINES else {}
        inspect.signature(verb.call).bind(**said, **more)
        case.assertTrue(verb.help.endswith("."), verb.name)
        if verb.answer is Answer.LINES:
            case.assertIn("seconds", said)
