"""What stands between a machine and the others, as text."""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.netcheck import NATS, netcheck_lines
from morphnet.ops.show import plain
from tests.ops.pictures import NETCHECK

FOUND = """\
network of anna
  IPv6    yes
  mapping none: the router maps no port for us

socket wlp3s0
  local   192.168.1.23:41193
  public  198.51.100.2:41193
  NAT     same mapping for every destination

socket wlp3s0
  local   [2001:db8:1234:5678:9abc:def0:1234:5678]:41193
  public  not known
  NAT     not known: no relay is reached over IPv6

relay meet.example  rtt 21.3 ms  nearest
relay 203.0.113.5  rtt -
  state   reconnecting in 3 s: connection refused"""


class NetcheckTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """A machine behind an ordinary router, to the letter."""
        self.assertEqual(plain(netcheck_lines(NETCHECK)), FOUND)

    def test_nats(self) -> None:
        """Every kind of NAT has its words; without a socket it says why."""
        for nat, (words, _) in NATS.items():
            sockets = tuple(dataclasses.replace(each, nat=nat) for each in NETCHECK.sockets)
            found = dataclasses.replace(NETCHECK, sockets=sockets, mapped=("198.51.100.2:1",) * 9)
            shown = plain(netcheck_lines(found))
            self.assertIn(f"  NAT     {words}", shown)
            self.assertLessEqual(max(map(len, shown.splitlines())), 80)
        self.assertNotIn("outside", plain(netcheck_lines(NETCHECK)))
        for word, words in (("open", "port 4000 is open"), ("closed", "port 4000 is closed"), ("unknown", "")):
            socket = dataclasses.replace(NETCHECK.sockets[0], outside=4000, open=word)
            shown = plain(netcheck_lines(dataclasses.replace(NETCHECK, sockets=(socket,))))
            self.assertEqual("outside" in shown, bool(words))
            self.assertIn(words, shown)
        self.assertIn("no uplink is up", plain(netcheck_lines(dataclasses.replace(NETCHECK, sockets=()))))
