"""
Who looks at what passes, and drops what is not liked: rules at a router between the client and the server.

Each is made of nftables alone, so that it costs the lab nothing, but for the one who reads names and the one who asks
nDPI, whom nftables needs a program for. Ports are accepted first: of `dport != 53 sport != 53` nft makes one
comparison, of both together.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator

from morphnet.lab.box import Box
from tests.lab.ndpi_censor import LOOKS_AT

ROUTER = "isp"
_CHAIN = "add table inet censor; add chain inet censor f { type filter hook forward priority 0; }"
_FLOWS = "add set inet censor flows { type ipv4_addr . inet_service . ipv4_addr . inet_service; }"
FREEZE_AT = 20 << 10  # bytes of a flow, both ways

# The bytes of a datagram begin at bit 64 of `th`.
WITHOUT_UDP = ("udp dport 53 accept", "udp sport 53 accept", "meta l4proto udp counter drop")
# A path's number below 16 and a counter that is still low, where ours have them; and WireGuard's four types.
KNOWN_BYTES = (
    "meta l4proto udp @th,136,8 < 16 @th,152,16 0 counter drop",
    "meta l4proto udp @th,64,32 { 0x01000000, 0x02000000, 0x03000000, 0x04000000 } counter drop",
)
# A flow passes whose first datagram is a long header of QUIC version 1; no other does.
ONLY_QUIC = (
    "meta l4proto udp ct mark 0 @th,64,1 1 @th,65,1 1 @th,72,32 1 ct mark set 1",
    "meta l4proto udp ct mark 0 counter drop",
)
# Either direction of a flow that is in the set.
BY_NAME = (
    "ip saddr . udp sport . ip daddr . udp dport @flows counter drop",
    "ip daddr . udp dport . ip saddr . udp sport @flows counter drop",
)
# Either direction of a flow that is in the set passes; of all others no more than what was looked at. TCP that was
# there before is left alone.
BY_PROTOCOL = (
    "tcp flags & (syn|ack) == syn ct mark set 3",
    "ip saddr . th sport . ip daddr . th dport @flows accept",
    "ip daddr . th dport . ip saddr . th sport @flows accept",
    f"meta l4proto udp ct packets > {LOOKS_AT} counter drop",
    f"meta l4proto tcp ct mark 3 ct packets > {LOOKS_AT} counter drop",
)
# A hotel.
ONLY_443 = ("tcp dport 443 accept", "tcp sport 443 accept", "meta l4proto { tcp, udp } counter drop")
# TLS is told by its first record (16 03), behind a TCP header with time stamps or without.
FREEZES = (
    "meta l4proto tcp @th,256,16 0x1603 ct mark set 2",
    "meta l4proto tcp @th,160,16 0x1603 ct mark set 2",
    f"ct mark != 2 ct bytes > {FREEZE_AT} counter drop",
)
_COUNTS_BYTES = "net.netfilter.nf_conntrack_acct=1"


@contextlib.contextmanager
def censored(box: Box, rules: tuple[str, ...]) -> Iterator[None]:
    """These rules hold meanwhile."""
    node = box.node(ROUTER)
    node.run(["sysctl", "-qw", _COUNTS_BYTES], check=True)
    lines = "; ".join([_CHAIN, _FLOWS, *(f"add rule inet censor f {rule}" for rule in rules)])
    node.run(["nft", lines], check=True)
    try:
        yield
    finally:
        node.run(["nft", "delete table inet censor"], check=True)


@contextlib.contextmanager
def censored_by_name(box: Box, *names: str) -> Iterator[None]:
    """
    What is not QUIC is dropped meanwhile, and so is each flow of QUIC that asks for one of these names: all of it but
    what has passed until the name was read.
    """
    with _read_by(box, BY_NAME + ONLY_QUIC, "name_censor", *names):
        yield


@contextlib.contextmanager
def censored_by_ndpi(box: Box) -> Iterator[None]:
    """Of each flow no more than the first packets pass meanwhile, unless nDPI knows what it is."""
    with _read_by(box, BY_PROTOCOL, "ndpi_censor"):
        yield


@contextlib.contextmanager
def _read_by(box: Box, rules: tuple[str, ...], program: str, *words: str) -> Iterator[None]:
    """These rules hold meanwhile, and that program of ours fills their set."""
    reads = [sys.executable, "-m", f"tests.lab.{program}", "censor", *words]
    with box.node(ROUTER).popen(reads, stdout=subprocess.PIPE, text=True) as censor:
        assert censor.stdout is not None  # asked for above
        censor.stdout.readline()  # from now on he misses none
        with censored(box, rules):
            try:
                yield
            finally:
                censor.terminate()
                censor.wait()  # the set is there as long as he is


def dropped(box: Box) -> int:
    """Packets that the rules have dropped since they hold."""
    listed = box.node(ROUTER).run(["nft", "list", "table", "inet", "censor"], check=True).stdout
    return sum(map(int, re.findall(r"counter packets (\d+)", listed)))
