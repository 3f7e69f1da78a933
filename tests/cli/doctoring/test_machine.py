"""What a machine lacks, one thing after the other."""

from __future__ import annotations

import collections
import os
import resource
import shutil

from morphnet import compiled
from morphnet.cli.doctoring import machine
from morphnet.cli.doctoring.machine import CHECKS
from morphnet.errors import HostError
from morphnet.host.facts import Facts, LinkFact
from morphnet.ops.rundir import JOURNAL
from tests.cli.doctoring.patients import PatientCase

_Usage = collections.namedtuple("_Usage", "total used free")


class MachineTests(PatientCase):
    def test_well(self) -> None:
        """A machine that has all of it; whether this one has a TUN and a compiler is its own affair."""
        states = self.states(CHECKS)
        for name in ("a TUN device can be made", "this user may change the network", "what was compiled is in use"):
            states.pop(name)
        self.assertEqual(set(states.values()), {"ok"}, states)

    def test_tun(self) -> None:
        """No device, or none for us; the first may be cured by loading a module."""
        name = "a TUN device can be made"
        self.patch(machine, "TUN", self.mktemp())
        (found,) = self.faults(CHECKS, name)
        self.assertIn("modprobe tun", found.cure)
        self.kernel.tools.add("modprobe")
        assert found.mend is not None  # it is absent
        found.mend()
        self.assertEqual(self.kernel.ran[-1][0], ("modprobe", "tun"))
        self.patch(os, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        (found,) = self.faults(CHECKS, name)
        self.assertIsNone(found.mend)
        self.assertIn("no permission", found.text)

    def test_tun_name(self) -> None:
        """A device of that name is ours only while we run."""
        name = "its name is free, or ours"
        self.kernel.there = Facts((LinkFact(3, "morph0", 1, 6, 1500),))
        (found,) = self.faults(CHECKS, name)
        self.assertIn("morph0", found.text)
        self.running["server"] = 1
        self.assertEqual(self.faults(CHECKS, name), [])

    def test_nftables(self) -> None:
        """A kernel without."""

        def none(kind: int, payload: bytes) -> list[bytes]:
            raise HostError("no such protocol")

        self.patch(self.kernel, "nft_dump", none)
        self.patch(os, "geteuid", lambda: 0)
        (found,) = self.faults(CHECKS, "nftables answers")
        self.assertIn("no such protocol", found.text)

    def test_buffers(self) -> None:
        """Small ones matter to who may not have larger ones."""
        self.kernel.values["net/core/rmem_max"] = "212992"
        self.patch(os, "geteuid", lambda: 1000)
        (found,) = self.faults(CHECKS, "sockets have room")
        self.assertIn("rmem_max is 212992", found.text)
        self.patch(os, "geteuid", lambda: 0)
        self.assertEqual(self.faults(CHECKS, "sockets have room"), [])

    def test_files(self) -> None:
        """A limit that callers alone reach."""
        self.patch(resource, "getrlimit", lambda _: (1024, 1024))
        (found,) = self.faults(CHECKS, "enough files may be open")
        self.assertIn("1024", found.text)

    def test_disk(self) -> None:
        """A disk that is as good as full; two directories on one disk are one."""
        self.patch(shutil, "disk_usage", lambda _: _Usage(9, 9, 1_000_000))
        (found,) = self.faults(CHECKS, "the disk has room")
        self.assertIn("1 MB", found.text)

    def test_sockets(self) -> None:
        """A directory whose name leaves no room."""
        text = self.place.server_toml.read_text()
        long = self.place.root / ("r" * 100)
        self.place.server_toml.write_text(text.replace(f'run_dir = "{self.place.run_dir}"', f'run_dir = "{long}"'))
        (found,) = self.faults(CHECKS, "sockets can have their paths")
        self.assertIn("too long", found.text)

    def test_clock(self) -> None:
        """A clock before the day on which our certificate was made, or our journal written."""
        name = "the clock is not before what has been"
        found = self.faults(CHECKS, name, now=1e9)
        self.assertEqual(len(found), 2)  # server and relay
        self.assertIn("certificate was made", found[0].text)
        journal = self.place.state_dir / JOURNAL
        journal.write_bytes(b"")
        os.utime(journal, (4e9, 4e9))
        self.assertIn("journal was written", self.faults(CHECKS, name)[0].text)

    def test_ipv6(self) -> None:
        """It is off, or the kernel has none."""
        name = "IPv6 is there where it is handed out"
        self.kernel.values["net/ipv6/conf/all/disable_ipv6"] = "1"
        self.assertEqual(len(self.faults(CHECKS, name)), 1)
        del self.kernel.values["net/ipv6/conf/all/disable_ipv6"]
        self.assertEqual(len(self.faults(CHECKS, name)), 1)

    def test_fast(self) -> None:
        """Without mypyc it is said."""
        self.patch(compiled, "IN_USE", False)
        (found,) = self.faults(CHECKS, "what was compiled is in use")
        self.assertIn("mypyc", found.text)
        self.assertFalse(found.grave)
