"""What was decided about a peer, as text."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.ops.page import LEAST, WIDTH
from morphnet.ops.show import plain
from morphnet.ops.why import peer_named, sentence, why_lines
from morphnet.status import Decision, PeerStatus
from tests.ops.pictures import CARL, GONE, MACHINE, NAS, NOW

WHY = """\
peer nas  times are UTC
  07:57:50  meeting    it is at a relay
  07:57:51  searching  the session is up, through a relay
  07:57:54  searching  tried 198.51.100.6:41193 (observed): answered in 42.1 ms;
                       192.168.2.2:41193 (local): no answer
  07:57:55  direct     eth0 to 198.51.100.6:41193 works

nas is reached directly, 192.168.1.23:41193 -> 198.51.100.6:41193, for 2m 5s; a
round trip takes 42.1 ms.

  counts  forged 12: datagrams whose tag is not true under any key

The same words are shown at the other end: compare them aloud.
  apple river chair moon seven goat"""


class WhyTests(SynchronousTestCase):
    def test_direct(self) -> None:
        """A peer that was found directly, to the letter."""
        self.assertEqual(plain(why_lines(NAS, NOW)), WHY)

    def test_other_ways(self) -> None:
        """Through a relay the sentence says whether a direct way is looked for, and without a way why there is none."""
        relayed = "carl is reached through the relay meet.example: no direct way was found so far"
        self.assertEqual(sentence(CARL, NOW), f"{relayed}; a round trip takes 81.0 ms.")
        searching = dataclasses.replace(CARL, state="searching", rtt=None)
        self.assertTrue(sentence(searching, NOW).endswith(": a direct way is being looked for."))
        gone = f"There is no way to {GONE.name}, for 1d 1h: it has left every relay where we are."
        self.assertEqual(sentence(GONE, NOW), gone)
        self.assertIn("nothing was tried yet", sentence(dataclasses.replace(GONE, decisions=()), NOW))

    def test_days(self) -> None:
        """What was decided on another day has its date above it."""
        shown = plain(why_lines(GONE, NOW)).splitlines()
        self.assertEqual(shown[1], "  2027-01-14")

    @given(st.text(st.characters(codec="ascii", categories=["L", "Zs"]), max_size=300))
    def test_width(self, why: str) -> None:
        """Whatever was decided fits into 80 columns, and no word of it is left out."""
        peer = dataclasses.replace(NAS, decisions=(Decision(NOW, "direct", why),))
        shown = plain(why_lines(peer, NOW))
        self.assertLessEqual(max(map(len, shown.splitlines())), 80)
        self.assertIn("".join(why.split()), "".join(shown.split()))

    @given(st.integers(LEAST, WIDTH), st.sampled_from([NAS, CARL, GONE]))
    def test_narrow(self, width: int, peer: PeerStatus) -> None:
        """In a narrow terminal no line is longer than it, no word is left out, and from 60 columns on none is cut."""
        wide, narrow = plain(why_lines(peer, NOW)), plain(why_lines(peer, NOW, width))
        self.assertLessEqual(max(map(len, narrow.splitlines())), width)
        self.assertEqual("".join(narrow.split()), "".join(wide.split()))
        if width >= 60:
            self.assertEqual(narrow.split(), wide.split())

    def test_unknown(self) -> None:
        """A name that is no peer's is answered with those that are."""
        self.assertIs(peer_named(MACHINE.peers, "nas"), NAS)
        refusal = str(self.assertRaises(ConfigError, peer_named, MACHINE.peers, "nass"))
        self.assertEqual(refusal, f"there is no peer 'nass': did you mean 'nas'? known are carl, nas, {GONE.name}, six")
        self.assertIn("known are none", str(self.assertRaises(ConfigError, peer_named, (), "nas")))
