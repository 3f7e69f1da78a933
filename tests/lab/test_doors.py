"""The doors on a real kernel: each case runs in a network namespace of its own, as root or without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]
FULL = ["tso", "uso"]


def observe(case: str) -> dict[str, Any]:
    """What `case` of tests.lab.doors saw."""
    rootless = ["--user", "--map-root-user"] if os.geteuid() else []
    command = ["unshare", *rootless, "--net", sys.executable, "-m", "tests.lab.doors", case]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    if ended.returncode:
        raise AssertionError(f"{case}: {ended.stderr}")
    seen: dict[str, Any] = json.loads(ended.stdout)
    return seen


class UdpTests(SynchronousTestCase):
    def test_gso(self) -> None:
        """Forty datagrams take one system call, and arrive in order, joined by the kernel."""
        for case in ("gso4", "gso6"):
            seen = observe(case)
            self.assertTrue(seen["same"], case)
            self.assertEqual((seen["send_calls"], seen["receives"], seen["offloads"]), (1, 1, ["gso", "gro"]))

    def test_without_gso(self) -> None:
        """In a kernel that refuses GSO the same datagrams arrive, one system call each after the first try."""
        seen = observe("no_gso")
        self.assertTrue(seen["same"])
        self.assertEqual((seen["send_calls"], seen["refused"], seen["offloads"]), (41, 0, ["no gso", "gro"]))

    def test_late(self) -> None:
        """A datagram that waited at the socket since long before one behind it is told to have waited longer."""
        seen = observe("late")
        self.assertEqual((seen["waits"][1] + 0.05 <= seen["waits"][0], seen["truncated"]), (True, 0), seen)

    def test_multihomed(self) -> None:
        """A door on the wildcard answers from the address that it was asked on."""
        for case, asked in (("multihomed4", "10.0.0.2"), ("multihomed6", "fd00::2")):
            seen = observe(case)
            self.assertEqual((seen["local"], seen["from"], seen["sizes"]), (asked, [asked], [1000, 1000, 1000]))

    def test_too_big(self) -> None:
        """Over the MTU by one byte: told and not fragmented, while what fits still leaves by GSO."""
        seen = observe("too_big")
        self.assertEqual((seen["told"], seen["refused"], seen["offloads"]), ([1273, 1273], 10, ["gso", "gro"]))
        self.assertEqual(seen["sizes"], [1263] + [1272] * 10)

    def test_dead_device(self) -> None:
        """A device that goes down or away costs the datagrams, is counted, and sending resumes when it is back."""
        seen = observe("dead_device")
        self.assertEqual((seen["sent"], seen["refused"]), ([3, 3, 6, 6], 6))
        self.assertTrue(set(seen["errors"]) <= {"ENETUNREACH", "ENETDOWN", "ENODEV", "EHOSTUNREACH"}, seen["errors"])


class TunTests(SynchronousTestCase):
    def test_tcp(self) -> None:
        """Ten megabytes of TCP cross two TUNs as super packets, IPv4 and IPv6, nothing dropped."""
        for case in ("tcp4", "tcp6"):
            seen = observe(case)
            self.assertTrue(seen["same"], case)
            self.assertEqual((seen["offloads"], seen["dropped"]), (FULL, {}))
            self.assertGreater(seen["longest"], 20_000)

    def test_lesser_kernels(self) -> None:
        """Without USO, TSO or virtio headers TCP works all the same."""
        for case, longest in (("tcp_no_uso", 65_600), ("tcp_no_tso", 1410), ("tcp_no_vnet", 1410)):
            seen = observe(case)
            self.assertTrue(seen["same"], case)
            self.assertLessEqual(seen["longest"], longest)
            self.assertEqual(seen["dropped"], {})

    def test_completed_checksums(self) -> None:
        """The receiving kernel accepts the checksums that we finished."""
        seen = observe("tcp_completed")
        self.assertTrue(seen["same"])

    def test_ping(self) -> None:
        """ICMP crosses as single packets."""
        self.assertEqual(observe("ping"), {"type": 0, "id": 77, "dropped": {}})

    def test_uso(self) -> None:
        """UDP super packets cross whole and arrive in their datagrams."""
        seen = observe("uso")
        self.assertTrue(seen["same"])
        self.assertEqual((seen["dropped"], seen["longest"]), ({}, 10 + 28 + 48_000))

    def test_deleted(self) -> None:
        """A deleted device is told, a busy or unfit name is one sentence, writing to one that is down is counted."""
        seen = observe("deleted")
        self.assertEqual((seen["told"], seen["dropped"]), (["TUN device morph0 was deleted"], {"EBADFD": 1}))
        self.assertEqual(seen["down"], {"EIO": 1})
        self.assertIn("HostError: another process uses TUN device morph0", seen["busy"][0])
        self.assertIn("HostError: lo is the name of another network device", seen["busy"][1])
