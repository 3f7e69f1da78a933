"""Made-up nodes for the tests of `ops` and `cli`: a client in a failover, a machine among peers, a relay."""

from __future__ import annotations

import dataclasses

from morphnet.status import (
    Decision,
    GuestStatus,
    Happening,
    NetcheckStatus,
    NodeStatus,
    PathStatus,
    PeerStatus,
    Pong,
    RelayDistance,
    RelayStatus,
    SessionStatus,
    SocketStatus,
)

NOW = 1_800_000_000.0  # Unix seconds

WIFI = PathStatus(
    path=0, uplink="wlp3s0", local="192.168.1.23:51820", seen_as="", remote="203.0.113.7:8000",
    state="active", since=NOW - 8040, rtt=0.0231, jitter=0.0012, loss=0.004, rate=2_275_000.0, mtu=1452, share=0.62,
    sent_packets=81_000, sent_bytes=63_100_000, received_packets=912_000, received_bytes=1_181_000_000,
    resent_packets=0,
)  # fmt: skip
PHONE = dataclasses.replace(
    WIFI, path=1, uplink="enx0c5b8f279a64", local="10.147.201.118:43117", state="silent", since=NOW - 3, rtt=0.0614,
    jitter=0.0147, loss=0.37, rate=0.0, mtu=1372, share=0.0, sent_bytes=800, received_bytes=12_000, resent_packets=312,
)  # fmt: skip
CABLE6 = dataclasses.replace(
    WIFI, path=2, uplink="eth0", local="[2001:db8:1234:5678:9abc:def0:1234:5678]:51820",
    remote="[2001:db8:ffff:ffff:ffff:ffff:ffff:7]:8000", state="standby", since=NOW - 200_000, rtt=None, jitter=None,
    rate=156_000_000.0, share=0.38, mtu=65507,
)  # fmt: skip

SESSION = SessionStatus(
    name="gateway.example", session="5f" * 16, since=NOW - 8041, inner=("10.73.0.2", "fd73::2"), scheduler="bond",
    epoch=68, control="up", group="X25519MLKEM768", paths=(WIFI, PHONE, CABLE6),
    counters={"late": 4, "held_back": 1210, "dropped_queue": 0},
)  # fmt: skip
NODE = NodeStatus(
    role="client", name="laptop", version="0.1.0", pid=4211, started_at=NOW - 8042, core="pure",
    offloads=("tso", "uso", "gso", "gro"), listening=(), state="connected", sessions=(SESSION,),
    counters={"dropped_short": 2},
    warnings=("somebody else removes what morphnet sets here: the nftables table morphnet_morph0, 3 times",),
    sections=("sessions", "relays", "peers"),
)  # fmt: skip
SERVER = dataclasses.replace(
    NODE, role="server", name="gateway.example", state="serving", listening=("0.0.0.0:8000", "[::]:8000"),
    sections=("sessions",),
    sessions=(
        dataclasses.replace(SESSION, name="laptop"),
        dataclasses.replace(SESSION, name="phone-of-field-engineers", control="down", paths=(), inner=("10.73.0.3",)),
    ),
)  # fmt: skip

NAS = PeerStatus(
    name="nas", state="direct", since=NOW - 125, inner=("10.73.0.3", "fd73::3"), way="direct",
    local="192.168.1.23:41193", remote="198.51.100.6:41193", rtt=0.0421, group="X25519MLKEM768",
    words=("apple", "river", "chair", "moon", "seven", "goat"),
    decisions=(
        Decision(NOW - 130.0, "meeting", "it is at a relay"),
        Decision(NOW - 129.0, "searching", "the session is up, through a relay"),
        Decision(
            NOW - 125.2, "searching",
            "tried 198.51.100.6:41193 (observed): answered in 42.1 ms; 192.168.2.2:41193 (local): no answer",
        ),
        Decision(NOW - 125.0, "direct", "eth0 to 198.51.100.6:41193 works"),
    ),
    counters={"forged": 12, "rekeys": 2, "sent_bytes": 8_120_000},
)  # fmt: skip
CARL = dataclasses.replace(
    NAS, name="carl", state="settled", since=NOW - 61, inner=("10.73.0.4",), way="relay", local="",
    remote="relay meet.example", rtt=0.081,
    decisions=(Decision(NOW - 61, "settled", "no direct way is in use after 4 s; the next search is in 66 s"),),
)  # fmt: skip
SIX = dataclasses.replace(
    NAS, name="six", local="[2001:db8:1234:5678:9abc:def0:1234:5678]:51820",
    remote="[2001:db8:ffff:ffff:ffff:ffff:ffff:7777]:41193",
)  # fmt: skip
GONE = PeerStatus(
    name="old-laptop-of-anna-in-the-cupboard", state="apart", since=NOW - 90_000, inner=(), way="none", local="",
    remote="", rtt=None, group="", words=(),
    decisions=(Decision(NOW - 90_000, "apart", "it has left every relay where we are"),),
)  # fmt: skip
PONG = Pong("nas", ("10.73.0.3", "fd73::3"), "direct", "198.51.100.6:41193", 0.0421)
NETCHECK = NetcheckStatus(
    name="anna",
    sockets=(
        SocketStatus("wlp3s0", "192.168.1.23:41193", "198.51.100.2:41193", "same"),
        SocketStatus("wlp3s0", "[2001:db8:1234:5678:9abc:def0:1234:5678]:41193", "", "unknown"),
    ),
    ipv6=True, mapped=(),
    relays=(
        RelayDistance("meet.example", "connected", 0.0213, True),
        RelayDistance("203.0.113.5", "reconnecting in 3 s: connection refused", None, False),
    ),
)  # fmt: skip
RELAYS = (
    RelayStatus("meet.example", "203.0.113.1:443", "connected", "X25519MLKEM768", 2, 8_120_000, 63_100),
    RelayStatus("203.0.113.5", "", "reconnecting in 3 s: connection refused", "", 0, 0, 0),
)
MACHINE = dataclasses.replace(
    NODE, name="anna", state="among peers", peers=(CARL, NAS, GONE, SIX), relays=RELAYS, counters={}, warnings=(),
    sessions=(dataclasses.replace(SESSION, name="nas"), dataclasses.replace(SESSION, name="carl")),
)  # fmt: skip
RELAY = NodeStatus(
    role="relay", name="meet.example", version="0.1.0", pid=77, started_at=NOW - 8042, core="", offloads=(),
    listening=("0.0.0.0 tcp 443, udp 3478 and 3479, tcp 8443 for invitations",), state="serving", sessions=(),
    counters={"forwarded": 9, "forwarded_bytes": 9000, "lines": 2, "dropped_full": 1},
    sections=("guests",),
    guests=(
        GuestStatus("anna", "198.51.100.2:50111", 63_100, 8_120_000),
        GuestStatus("six", "[2001:db8:1234:5678:9abc:def0:1234:5678]:51820", 0, 0),
    ),
)  # fmt: skip
HAPPENINGS = [
    Happening(1, NOW - 8041, "session-up", "gateway.example", "connected with X25519MLKEM768"),
    Happening(2, NOW - 3, "path-silent", "gateway.example", "path 1 (enx0c5b8f279a64) is silent, was active"),
]
