"""What may be asked over the feed."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.ops.request import LOOKS, Request, parse_request
from tests.ops.fakes import FakeNode
from tests.ops.pictures import RELAY

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
VERBS = FakeNode().verbs()
_asks = st.sampled_from([verb.name for verb in (*LOOKS, *VERBS)])
_names = st.sampled_from(["every", "after", "follow", "name", "session", "path", "seconds"])


class ParseTests(SynchronousTestCase):
    @given(st.binary())
    def test_bytes(self, line: bytes) -> None:
        """Any bytes are a request, or refused with one sentence."""
        self._try(line)

    @given(_asks, st.dictionaries(_names, _json))
    def test_fields(self, ask: str, said: dict[str, object]) -> None:
        """Any values of the known fields likewise; what is accepted has the declared types."""
        request = self._try(json.dumps({"ask": ask, **said}).encode())
        if request is not None:
            self.assertEqual(list(request.said), [field.name for field in request.verb.fields])
            for field in request.verb.fields:
                self.assertIs(type(request.said[field.name]), type(field.default))
                if type(field.default) in (int, float):
                    self.assertTrue(field.least <= request.said[field.name] <= field.most)

    def _try(self, line: bytes) -> Request | None:
        try:
            return parse_request(line, "client", VERBS)
        except ConfigError as error:
            self.assertNotIn("\n", str(error))
            return None

    def test_deep(self) -> None:
        """Brackets without end do not exhaust the stack."""
        self.assertRaises(ConfigError, parse_request, b"[" * 4000, "client", VERBS)

    def test_sentences(self) -> None:
        """The sentence says what to do."""
        for line, sentence in {
            '{"ask": "statu"}': "ask 'statu' is unknown; did you mean 'status'?",
            '{"ask": "cut"}': "cut needs 'path'",
            '{"ask": "cut", "path": 0.5}': "'path' must be a whole number or a name",
            '{"ask": "cut", "path": true}': "'path' must be a whole number or a name",
            '{"ask": "cut", "path": ""}': "'path' must be a whole number or a name",
            '{"ask": "watch", "every": "x"}': "'every' must be a number",
            '{"ask": "cut", "path": 256}': "'path' must be between 0 and 255",
            '{"ask": "watch", "evry": 1}': "watch has 'evry' is unknown; did you mean 'every'?",
            '{"ask": "watch", "every": NaN}': "'every' must be between 0.1 and 3600",
            '{"ask": "ping", "name": ""}': "'name' must not be empty",
            "{}": "'ask' is missing; known are: " + ", ".join(verb.name for verb in (*LOOKS, *VERBS)),
            "[]": "a request is one JSON object in one line",
        }.items():
            self.assertEqual(
                str(self.assertRaises(ConfigError, parse_request, line.encode(), "client", VERBS)), sentence
            )

    def test_not_here(self) -> None:
        """What another kind of process does is refused with what this one does."""
        verbs = FakeNode(RELAY).verbs()
        sentence = str(self.assertRaises(ConfigError, parse_request, b'{"ask": "ping"}', "relay", verbs))
        self.assertEqual(sentence, "a relay has no 'ping'; `help` in its manhole tells what it has")
        self.assertEqual(parse_request(b'{"ask": "drain"}', "relay", verbs).said, {"seconds": 5.0})
