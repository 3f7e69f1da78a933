"""Pictures of a node, there and back."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.netcheck import netcheck_lines
from morphnet.ops.show import ansi, node_lines, plain
from morphnet.ops.why import why_lines
from morphnet.status import LONGEST_TEXT, NetcheckStatus, NodeStatus, Pong, as_json, from_json
from tests.ops.pictures import MACHINE, NETCHECK, NODE, NOW, PONG, RELAY, SERVER

STEERS = "\x1b]52;c;cm0gLXJmIC8K\x07\x1b[2J\x9b31m\r\n\u202e"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def steered(value: Any) -> Any:
    """The same with terminal sequences at the end of every text, names of counters included."""
    if isinstance(value, str):
        return value + STEERS
    if isinstance(value, dict):
        return {name + (STEERS if name.startswith("dropped") else ""): steered(each) for name, each in value.items()}
    return [steered(each) for each in value] if isinstance(value, list) else value


class ReadTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """What a process says of itself is what is read, for every picture."""
        for picture in (NODE, SERVER, MACHINE, RELAY, PONG, NETCHECK):
            said = json.loads(json.dumps(as_json(picture)))
            self.assertEqual(from_json(type(picture), said), picture)

    def test_versions(self) -> None:
        """An older process says less and a newer one more; what cannot be done without is missed."""
        said = as_json(NODE)
        del said["relays"], said["warnings"]
        self.assertEqual(from_json(NodeStatus, said | {"moods": 3}), dataclasses.replace(NODE, warnings=()))
        del said["sessions"]
        self.assertRaises(ValueError, from_json, NodeStatus, said)

    def test_steering(self) -> None:
        """Of terminal sequences in whatever text nothing reaches a terminal that steers it."""
        for picture in (NODE, MACHINE, RELAY):
            read = from_json(NodeStatus, steered(json.loads(json.dumps(as_json(picture)))))
            lines = node_lines(read, NOW)
            for peer in read.peers:
                lines += why_lines(peer, NOW)
            self.assertTrue(plain(lines).replace("\n", "").isprintable())
            self.assertNotIn("\x1b]", ansi(lines))
        told = plain(netcheck_lines(from_json(NetcheckStatus, steered(json.loads(json.dumps(as_json(NETCHECK)))))))
        self.assertTrue(told.replace("\n", "").isprintable())

    def test_shown_unread(self) -> None:
        """What never went over the wire is printable too when it is shown."""
        self.assertEqual(plain([[("a\x1b[2J", ""), ("\n", "")]]), "a?[2J?")
        self.assertEqual(ansi([[("a\x1b[2J", "bold")]]), "\x1b[1ma?[2J\x1b[0m")

    def test_extremes(self) -> None:
        """Numbers and texts of any size can be shown, and take no time to speak of."""
        said = as_json(MACHINE)
        said["started_at"] = said["peers"][0]["since"] = -1e308
        said["peers"][0]["rtt"] = 1e308
        said["peers"][0]["decisions"] = [{"at": 1e308, "state": "x", "why": "y" * (1 << 20)}]
        said["pid"] = said["peers"][0]["decisions"][0]["at"] = 10**4000
        said["counters"] = {"dropped": -(10**4000)}
        read = from_json(NodeStatus, said)
        self.assertEqual(len(read.peers[0].decisions[0].why), LONGEST_TEXT)
        self.assertTrue(plain(node_lines(read, NOW)))
        self.assertTrue(plain(why_lines(read.peers[0], NOW)))

    @given(st.sampled_from(sorted(as_json(NODE))), JSON)
    def test_anything(self, name: str, value: object) -> None:
        """Any JSON in any place is a picture that can be shown, or refused."""
        try:
            read = from_json(NodeStatus, as_json(NODE) | {name: value})
        except ValueError:
            return
        self.assertTrue(plain(node_lines(read, NOW)).replace("\n", "").isprintable())

    def test_no_picture(self) -> None:
        """What is no object at all is none."""
        nothing: tuple[object, ...] = (None, [], "x", 3, {"name": 1})
        for each in nothing:
            self.assertRaises(ValueError, from_json, Pong, each)
