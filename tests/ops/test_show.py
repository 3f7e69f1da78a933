"""A node's picture as text."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.page import LEAST, WIDTH
from morphnet.ops.show import (
    ansi,
    happening_lines,
    node_lines,
    path_lines,
    peer_lines,
    peers_lines,
    plain,
    relay_lines,
    sessions_lines,
)
from morphnet.ops.show_guests import guests_lines
from morphnet.status import NodeStatus, PathStatus, UplinkStatus
from tests.ops.pictures import CARL, GONE, HAPPENINGS, MACHINE, NODE, NOW, RELAY, RELAYS, SERVER, SESSION, WIFI

PATHS = """\
  path           state        for     rtt  jitter   loss share        rate   mtu
    0 wlp3s0     active    2h 14m 23.1 ms 1.20 ms   0.4%   62% 18.2 Mbit/s  1452
      192.168.1.23:51820 -> 203.0.113.7:8000            rx 1.10 GiB, tx 60.2 MiB
    1 enx0c5b8f279a64
                 silent        3s 61.4 ms 14.7 ms    37%    0%           -  1372
      10.147.201.118:43117 -> 203.0.113.7:8000
                                               rx 11.7 KiB, tx 800 B, 312 resent
    2 eth0       standby    2d 7h       -       -   0.4%   38% 1.25 Gbit/s 65507
      [2001:db8:1234:5678:9abc:def0:1234:5678]:51820
      -> [2001:db8:ffff:ffff:ffff:ffff:ffff:7]:8000     rx 1.10 GiB, tx 60.2 MiB"""

HEAD = """\
client laptop  connected  up 2h 14m  pid 4211  morphnet 0.1.0
  kernel  core pure, tso uso gso gro
  warning somebody else removes what morphnet sets here: the nftables table
          morphnet_morph0, 3 times
  counts  dropped_short 2

session gateway.example  up 2h 14m  scheduler bond
  inner   10.73.0.2, fd73::2
  control up  TLS 1.3, X25519MLKEM768  key epoch 68
  data    2.20 GiB received, 120 MiB sent
  counts  late 4: packets that came after their turn, and were delivered all the
            same
          held_back 1210: packets that waited for one before them
"""

AMONG_PEERS = """\
client anna  among peers  up 2h 14m  pid 4211  morphnet 0.1.0
  kernel  core pure, tso uso gso gro

relay meet.example  connected
  address 203.0.113.1:443
  peers   2
  data    61.6 KiB received, 7.74 MiB sent

relay 203.0.113.5  reconnecting in 3 s: connection refused

peer carl  settled for 1m 1s
  inner   10.73.0.4
  relay   meet.example  rtt 81.0 ms

peer nas  direct for 2m 5s
  inner   10.73.0.3, fd73::3
  direct  192.168.1.23:41193 -> 198.51.100.6:41193  rtt 42.1 ms

peer old-laptop-of-anna-in-the-cupboard  apart for 1d 1h
  way     none: it has left every relay where we are

peer six  direct for 2m 5s
  inner   10.73.0.3, fd73::3
  direct  [2001:db8:1234:5678:9abc:def0:1234:5678]:51820 ->
          [2001:db8:ffff:ffff:ffff:ffff:ffff:7777]:41193  rtt 42.1 ms"""

AT_A_RELAY = """\
relay meet.example  serving  up 2h 14m  pid 77  morphnet 0.1.0
  serves  0.0.0.0 tcp 443, udp 3478 and 3479, tcp 8443 for invitations
  counts  dropped_full 1: envelopes for a node whose line was full

guest anna
  address 198.51.100.2:50111
  data    61.6 KiB from it, 7.74 MiB to it

guest six
  address [2001:db8:1234:5678:9abc:def0:1234:5678]:51820
  data    0 B from it, 0 B to it"""

LONG = dataclasses.replace(
    NODE, state="reconnecting in 3 s: connection refused by the server at vpn.example.org",
    headline="connected by wlp3s0; nothing comes back on enx0c5b8f279a64",
    uplinks=(UplinkStatus("wwan0", "lost", NOW - 125, "it has no address, or no default route in the main table"),),
)  # fmt: skip

_paths = st.builds(
    PathStatus,
    path=st.integers(0, 255), uplink=st.text("wlan0:-é", max_size=15), local=st.just("10.0.0.1:1"),
    seen_as=st.sampled_from(["", "10.0.0.1:1", "203.0.113.9:1", "[2001:db8:ffff:ffff:ffff:ffff:ffff:8888]:65535"]),
    remote=st.sampled_from(["203.0.113.7:8000", "[2001:db8:ffff:ffff:ffff:ffff:ffff:7777]:65535"]),
    state=st.sampled_from(["probing", "active", "standby", "silent", "closed"]), since=st.floats(NOW - 1e8, NOW + 9),
    rtt=st.none() | st.floats(0, 1000), jitter=st.none() | st.floats(0, 1000), loss=st.floats(0, 1),
    rate=st.floats(0, 1e11), mtu=st.integers(0, 65535), share=st.floats(0, 1),
    sent_packets=st.integers(0), sent_bytes=st.integers(0, 1 << 58), received_packets=st.integers(0),
    received_bytes=st.integers(0, 1 << 58), resent_packets=st.integers(0, 1 << 40),
)  # fmt: skip


class ShowTests(SynchronousTestCase):
    def test_headline(self) -> None:
        """What is wrong stands in the second line, and in the colour of trouble; "connected" is no good news then."""
        text = "no data path: UDP 8000 does not get through on wan0"
        node = dataclasses.replace(NODE, headline=text, well=False)
        self.assertEqual(plain(node_lines(node, NOW)).splitlines()[1], f"  now     {text}")
        self.assertIn(f"\x1b[1;31m{text}", ansi(node_lines(node, NOW)))
        self.assertIn("\x1b[33mconnected", ansi(node_lines(node, NOW)))

    @given(st.integers(LEAST, WIDTH), st.sampled_from([NODE, LONG, SERVER, MACHINE, RELAY]))
    def test_narrow(self, width: int, node: NodeStatus) -> None:
        """
        In a narrow terminal no line is longer than it and, from 60 columns on, no word is cut; columns of the table of
        paths that find no room are left out, and nothing else is.
        """
        wide, narrow = plain(node_lines(node, NOW)), plain(node_lines(node, NOW, width))
        self.assertLessEqual(max(map(len, narrow.splitlines())), width)
        if width < 60:
            return
        missing = Counter(wide.split()) - Counter(narrow.split())
        self.assertEqual(Counter(narrow.split()) - Counter(wide.split()), Counter())
        table = [line for line in wide.splitlines() if "share" in line or re.match(" {2,4}[0-9]+ | {17}[a-z]", line)]
        self.assertEqual(missing - Counter(" ".join(table).split()), Counter())

    def test_columns(self) -> None:
        """The least that is shown of a path is how long, how far and how lossy."""
        heads = {width: plain(path_lines([WIFI], NOW, width)).splitlines()[0].split()[2:] for width in (48, 60, 72, 80)}
        self.assertEqual(heads[48], ["for", "rtt", "loss"])
        self.assertEqual(heads[60], ["for", "rtt", "loss", "share", "mtu"])
        self.assertEqual(heads[72], ["for", "rtt", "loss", "share", "rate", "mtu"])
        self.assertEqual(heads[80], ["for", "rtt", "jitter", "loss", "share", "rate", "mtu"])

    def test_uplinks(self) -> None:
        """Uplinks that are not used are named, since when and why; those that are used have their paths."""
        uplinks = (
            UplinkStatus("eth0", "up", NOW - 9, "", shape="masked"),
            UplinkStatus("wlan0", "up", NOW - 9, "", shape="none"),
            UplinkStatus("wwan0", "lost", NOW - 125, "there is no such device"),
        )
        shown = plain(node_lines(dataclasses.replace(NODE, uplinks=uplinks), NOW))
        self.assertIn("\n  uplink  wwan0 lost 2m 5s ago: there is no such device\n", shown)
        self.assertIn("\n  uplink  wlan0: no shape of datagrams gets through\n", shown)
        self.assertEqual(len(shown.splitlines()), len((HEAD + PATHS).splitlines()) + 2)

    def test_whole(self) -> None:
        """The client in the middle of a failover, to the letter."""
        self.assertEqual(plain(node_lines(NODE, NOW)), HEAD + PATHS)

    @given(st.lists(_paths, min_size=1, max_size=3))
    def test_width(self, paths: list[PathStatus]) -> None:
        """Whatever a path is like, its lines fit into 80 columns."""
        for line in plain(path_lines(paths, NOW)).splitlines():
            self.assertLessEqual(len(line), 80, line)

    def test_behind_nat(self) -> None:
        """A path tells the address that the peer sees, where that is another."""
        for seen, words in (("", ""), ("192.168.1.1:1", ""), ("203.0.113.9:7", " as 203.0.113.9:7")):
            path = dataclasses.replace(WIFI, local="192.168.1.1:1", seen_as=seen)
            self.assertIn(f"      192.168.1.1:1{words} -> 203.0.113.7:8000", plain(path_lines([path], NOW)))

    def test_server(self) -> None:
        """A session without a path says so, and many addresses are wrapped."""
        picture = dataclasses.replace(SERVER, listening=("[2001:db8:ffff:ffff:ffff:ffff:ffff:7]:8000",) * 3)
        shown = plain(node_lines(picture, NOW))
        self.assertIn("  paths   none", shown)
        self.assertLessEqual(max(map(len, shown.splitlines())), 80)

    def test_ordinary_counts(self) -> None:
        """What only says that there is traffic is not in the way of what says that something is wrong."""
        counters = {"read_bytes": 9, "send_calls": 8, "received": 7, "sent_bytes": 6, "control_links": 5, "stranger": 4}
        shown = plain(node_lines(dataclasses.replace(NODE, counters=counters), NOW))
        self.assertIn("\n  counts  stranger 4: datagrams that name no session", shown)
        quiet = plain(node_lines(dataclasses.replace(NODE, counters={"sent": 7}, sessions=()), NOW))
        self.assertNotIn("counts", quiet)

    def test_colours(self) -> None:
        """Without its colours the coloured text is the plain one, and every colour ends."""
        coloured = ansi(node_lines(NODE, NOW))
        self.assertEqual(re.sub(r"\x1b\[[0-9;]*m", "", coloured), plain(node_lines(NODE, NOW)))
        self.assertEqual(coloured.count("\x1b[0m") * 2, coloured.count("\x1b["))

    def test_tables(self) -> None:
        """Sessions and happenings take one line each; none are said to be none."""
        self.assertEqual(len(sessions_lines(SERVER.sessions, NOW)), 3)
        self.assertIn("0/0", plain(sessions_lines(SERVER.sessions, NOW)))
        self.assertIn("3s ago  path-silent   gateway.example: path 1", plain(happening_lines(HAPPENINGS, NOW)))
        self.assertEqual(plain(sessions_lines((), NOW)), "no session")
        self.assertEqual(plain(happening_lines([], NOW)), "nothing happened yet")
        self.assertEqual(path_lines((), NOW), [])
        self.assertIn("no session", plain(node_lines(dataclasses.replace(NODE, sessions=()), NOW)))
        self.assertIn(WIFI.remote, plain(node_lines(NODE, NOW)))

    def test_serves(self) -> None:
        """Where it is served, told apart."""
        several = dataclasses.replace(NODE, listening=("0.0.0.0 tcp 8443, udp 8000", ":: tcp 8443, udp 8000"))
        self.assertIn("udp 8000; :: tcp 8443", plain(node_lines(several, NOW)))


class PeersTests(SynchronousTestCase):
    def test_machine(self) -> None:
        """Relays and peers of a machine without a server, to the letter; a peer is not shown as a session as well."""
        self.assertEqual(plain(node_lines(MACHINE, NOW)), AMONG_PEERS)
        self.assertIn(("among peers", "good"), node_lines(MACHINE, NOW)[0])

    def test_server_too(self) -> None:
        """A session with a server comes first, and the peers' sessions are not repeated."""
        picture = dataclasses.replace(MACHINE, state="connected", sessions=(*MACHINE.sessions, SESSION))
        shown = plain(node_lines(picture, NOW))
        self.assertEqual(shown.count("session "), 1)
        self.assertLess(shown.index("session gateway.example"), shown.index("relay meet.example"))
        lost = dataclasses.replace(picture, state="reconnecting in 3 s: no route", sessions=MACHINE.sessions)
        self.assertTrue(plain(node_lines(lost, NOW)).endswith("no session"))

    def test_relay(self) -> None:
        """A relay shows its guests, to the letter, and when it is drained it warns."""
        self.assertEqual(plain(node_lines(RELAY, NOW)), AT_A_RELAY)
        drained = node_lines(dataclasses.replace(RELAY, state="draining", guests=()), NOW)
        self.assertIn(("draining", "warn"), drained[0])
        self.assertTrue(plain(drained).endswith("no guest"))

    def test_no_way(self) -> None:
        """A peer that cannot be reached says why; a state that is too long for its line gets one of its own."""
        self.assertEqual(len(peer_lines(dataclasses.replace(GONE, decisions=()), NOW)), 2)
        state = "reconnecting in 60 s: the relay refuses us: " + "a long reason " * 9
        for line in plain(relay_lines(dataclasses.replace(RELAYS[1], state=state))).splitlines():
            self.assertLessEqual(len(line), 80)

    def test_tables(self) -> None:
        """Peers and guests take one line each, within 80 columns; none are said to be none."""
        for lines, many in ((peers_lines(MACHINE.peers, NOW), 5), (guests_lines(RELAY.guests), 3)):
            self.assertEqual(len(lines), many)
            self.assertLessEqual(max(map(len, plain(lines).splitlines())), 80)
        self.assertIn("settled       1m 1s  81.0 ms  relay meet.example", plain(peers_lines([CARL], NOW)))
        self.assertEqual((plain(peers_lines((), NOW)), plain(guests_lines(()))), ("no peer", "no guest"))
