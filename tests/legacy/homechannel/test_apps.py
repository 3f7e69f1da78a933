"""Frames of the original's apps, and the list of them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.legacy.homechannel import apps


class AppTests(SynchronousTestCase):
    @given(st.lists(st.tuples(st.integers(1, 4), st.binary(max_size=50)), max_size=4))
    def test_frames(self, said: list[tuple[int, bytes]]) -> None:
        """As many as there are in a message; a cut one is malformed."""
        message = b"".join(apps.frame(kind, payload) for kind, payload in said)
        self.assertEqual(list(apps.frames(message)), said)
        if said:
            self.assertRaises(MalformedFrame, list, apps.frames(message[:-1]))

    def test_bytes(self) -> None:
        """Type, length, payload."""
        self.assertEqual(apps.frame(apps.JSON, {"a": 1}), b'\x01\x00\x00\x00\x07{"a":1}')
        for wrong in (b"\x00\x00\x00\x00\x00", b"\x05\x00\x00\x00\x00", b"\x02\xff\xff\xff\xff"):
            self.assertRaises(MalformedFrame, list, apps.frames(wrong))

    def test_control(self) -> None:
        """The list, and an error for anything else."""
        asked = json.dumps({"type": "apps:list", "requestId": "r"}).encode()
        told = json.loads(apps.control(asked, [{"name": "files"}]))
        self.assertEqual(told, {"type": "apps:list:response", "requestId": "r", "apps": [{"name": "files"}]})
        told = json.loads(apps.control(b'{"type":"x","requestId":1}', []))
        self.assertEqual((told["type"], told["requestId"]), ("error", 1))
        self.assertRaises(MalformedFrame, apps.control, b"x", [])
