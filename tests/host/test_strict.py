"""What the kill switch lets out."""

from __future__ import annotations

import struct

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host import nft
from morphnet.host.host import KINDS
from morphnet.host.journal import Journal
from morphnet.host.look import Look
from morphnet.host.outside import Network
from morphnet.host.strict import StrictTable, own_networks
from tests.host.fake_kernel import FakeFile, FakeKernel

MARK = 0x1234


def rule(*words: bytes) -> bytes:
    """One rule of the table of morph0."""
    return nft.add_rule("morphnet_morph0_strict", "leave", *words)


class StrictTests(SynchronousTestCase):
    def test_everything(self) -> None:
        """What is not ours is dropped in both families, whoever it is for; no address is let through."""
        made = StrictTable("morph0", MARK).made()
        self.assertEqual(made[0][:4], nft.add_chain("morphnet_morph0_strict", "leave", "filter", 4, 0)[:4])
        self.assertEqual(made[-2:], [rule(nft.destination(each), nft.drop()) for each in ("0.0.0.0/0", "::/0")])
        self.assertEqual(made[3], rule(nft.meta(nft.PACKET_MARK, struct.pack("=I", MARK)), nft.accept()))
        let = [nft.destination(each)[-8:] for each in ("203.0.113.1",)]
        self.assertFalse([each for each in made[1:-2] if any(address in each for address in let)])

    def test_split(self) -> None:
        """With chosen routes these alone are held, and nothing else."""
        made = StrictTable("morph0", MARK, ("10.0.0.0/8",)).made()
        self.assertEqual(made[-1], rule(nft.destination("10.0.0.0/8"), nft.drop()))
        self.assertEqual(sum(nft.drop() in each for each in made), 1)

    def test_own_networks(self) -> None:
        """Containers are reached, the local network is not."""
        found = [Network("172.17.0.0/16", "docker0", False), Network("192.168.5.0/24", "wan", True)]
        found += [Network("10.9.0.0/16", "", False), found[0]]
        self.assertEqual(own_networks(found), ("docker0 172.17.0.0/16",))
        made = StrictTable("morph0", MARK, own=own_networks(found)).made()
        words = nft.device(nft.OIFNAME, "docker0"), nft.destination("172.17.0.0/16"), nft.accept()
        self.assertEqual(made[-3], rule(b"".join(words)))

    def test_taken_over(self) -> None:
        """After a kill the next one has it without a moment between, if it is strict as well; else it is undone."""
        for inherit, calls in (({StrictTable.kind: "strict"}, []), ({}, ["nft"])):
            kernel, file, table = FakeKernel(), FakeFile(), StrictTable("morph0", MARK)
            Journal(file, kernel, KINDS, "here").settle("strict", [table])
            kernel.calls.clear()
            following = Journal(file, kernel, KINDS, "here")
            following.undo_leftovers(inherit)
            self.assertEqual((kernel.calls, table.stands(Look(kernel))), (calls, not calls))
            following.settle("strict", [table])
            self.assertTrue(table.stands(Look(kernel)))
            following.undo_all()
            self.assertEqual(kernel.tables, [])
