"""A made-up node for the tests of `ops` and `cli`: a client in the middle of a failover."""

from __future__ import annotations

import dataclasses

from morphnet.status import Happening, NodeStatus, PathStatus, SessionStatus

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
)  # fmt: skip
SERVER = dataclasses.replace(
    NODE, role="server", name="gateway.example", state="serving", listening=("0.0.0.0:8000", "[::]:8000"),
    sessions=(
        dataclasses.replace(SESSION, name="laptop"),
        dataclasses.replace(SESSION, name="phone-of-field-engineers", control="down", paths=(), inner=("10.73.0.3",)),
    ),
)  # fmt: skip
HAPPENINGS = [
    Happening(1, NOW - 8041, "session-up", "gateway.example", "connected with X25519MLKEM768"),
    Happening(2, NOW - 3, "path-silent", "gateway.example", "path 1 (enx0c5b8f279a64) is silent, was active"),
]
