"""JSON as a browser writes it, and boxes."""

from __future__ import annotations

import json
import shutil
import subprocess

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Forged, MalformedFrame
from morphnet.legacy.homechannel import boxes
from tests.legacy.homechannel import original

CHALLENGE = "000102030405060708090a0b0c0d0e0f"
# Of the original: {"type":"heartbeat","payload":{}} under the key of that challenge and the password "pw", IV of zeros.
BOX = bytes.fromhex(
    "000000000000000000000000945a4d3a179380d24903a2ac28098c8f479b423baaedb8ffb472aa0ce57ffd0bbc3bbe25"
    "170374a4a9e7a3705a888a4524"
)
NUMBERS = "[0,-0,1.0,-7,0.1,1e21,1e20,123456789012345680000,1e-6,1e-7,1.5e-7,-2.5e-10,5e-324,1.7e308,1e400,0.00001]"
TEXTS = '["é\\u2028\\u007f","\\u0000\\b\\t\\n\\f\\r\\"\\\\\\u001f","\\ud83d\\ude00"]'
NODE = shutil.which("node")


class BoxTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """Answer, key and box are the original's, byte by byte."""
        answer = boxes.answer_of(CHALLENGE, "pw")
        self.assertTrue(answer.startswith("61ece341") and answer.endswith("84535c0a"))
        key = boxes.key_of(answer)
        self.assertTrue(key.hex().startswith("310b5961"))
        message = {"type": "heartbeat", "payload": {}}
        self.assertEqual(boxes.seal(key, bytes(12), message), BOX)
        self.assertEqual(boxes.open_box(key, BOX), message)

    def test_wrong(self) -> None:
        """Another key, another byte, and what is no box or no object."""
        key = boxes.key_of(boxes.answer_of(CHALLENGE, "pw"))
        self.assertRaises(Forged, boxes.open_box, bytes(32), BOX)
        for at in range(len(BOX)):
            spoilt = BOX[:at] + bytes([BOX[at] ^ 1]) + BOX[at + 1 :]
            self.assertRaises(Forged, boxes.open_box, key, spoilt)
        self.assertRaises(MalformedFrame, boxes.open_box, key, BOX[:27])
        self.assertRaises(MalformedFrame, boxes.open_box, key, boxes.seal(key, bytes(12), [1]))

    def test_objects(self) -> None:
        """What is no object that could be written again is malformed."""
        for wrong in (b"", b"[]", b"{", b'{"a":NaN}', b"\xff", b'{"a":"\\ud800"}', b'{"a":' + b"[" * 9999):
            self.assertRaises(MalformedFrame, boxes.read_object, wrong)
        self.assertRaises(MalformedFrame, boxes.text_of, {"a": 1}, "a")
        self.assertRaises(MalformedFrame, boxes.text_of, {"a": "xx"}, "a", 1)

    def test_as_javascript(self) -> None:
        """Numbers and texts are written as JSON.stringify does: a signature is over them."""
        if NODE is None:
            self.skipTest("no node here (Debian package nodejs)")
        for text in (NUMBERS, TEXTS):
            script = f"process.stdout.write(JSON.stringify(JSON.parse({json.dumps(text)})))"
            said = subprocess.run([NODE, "-e", script], capture_output=True, check=True).stdout
            self.assertEqual(boxes.stringify(json.loads(text)).encode(), said)

    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(2**53), 2**53)
            | st.text(st.characters(exclude_categories=["Cs"])),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
            max_leaves=20,
        )
    )
    def test_round_trip(self, value: object) -> None:
        """What one end seals the other opens; without fractions JSON is that of everybody."""
        self.assertEqual(boxes.stringify(value), original.stringify(value))
        sealed = boxes.seal(bytes(32), bytes(12), {"value": value})
        self.assertEqual(sealed, original.encrypt(bytes(32), {"value": value}, bytes(12)))
        self.assertEqual(boxes.open_box(bytes(32), sealed), original.decrypt(bytes(32), sealed))
