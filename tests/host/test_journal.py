"""The journal: written before it is done, undone in reverse, whatever state its file is in."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.host.dns import RESOLV_CONF, ResolvConf
from morphnet.host.host import KINDS
from morphnet.host.hosts import HostsBlock
from morphnet.host.journal import COMPACT_AT, Change, Journal, Mended, decode_journal, encode_change
from morphnet.host.kernel import FileState
from morphnet.host.nat import Forwarding, NftTable
from morphnet.host.routes import Address, LinkUp
from morphnet.host.routing import Route, Rule
from morphnet.host.sysctl import Sysctl
from tests.host.fake_kernel import FakeFile, FakeKernel

ADDRESS = Address("morph0", "10.73.0.2/24")
ROUTE = Route("0.0.0.0/0", 7300, "morph0")
RULE = Rule(4, 7399, 7300)
WANTED: list[Change] = [LinkUp("morph0", 1400, 7300), ADDRESS, ROUTE, RULE]


class JournalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.kernel, self.file = FakeKernel(), FakeFile()
        self.journal = self.open()

    def open(self, world: str = "here") -> Journal:
        return Journal(self.file, self.kernel, KINDS, world)

    def test_written_first(self) -> None:
        """When the kernel is asked for a change, the change is in the file already."""
        seen: list[bytes] = []
        self.kernel.called = lambda name: seen.append(self.file.data)
        self.journal.settle("tunnel", [ROUTE])
        self.assertIn(b'"kind": "route"', seen[0])

    def test_reverse_order(self) -> None:
        """What was done last is undone first, and the machine is as before."""
        before = self.kernel.link("morph0")
        self.journal.settle("tunnel", WANTED)
        self.kernel.calls.clear()
        self.journal.undo_all()
        self.assertEqual(self.kernel.calls, ["remove_rule", "remove_route", "remove_address", "set_link"])
        self.assertEqual(self.kernel.link("morph0"), before)
        self.assertEqual(decode_journal(self.file.data, KINDS)[1], [])

    def test_leftovers(self) -> None:
        """A later run undoes what is in the file, and only once."""
        self.journal.settle("tunnel", WANTED)
        later = self.open()
        self.assertEqual(later.undo_leftovers(), len(WANTED))
        self.assertEqual((self.kernel.routes, self.kernel.rules, self.kernel.addresses), (set(), set(), set()))
        self.assertEqual((later.undo_leftovers(), self.open().undo_leftovers()), (0, 0))

    def test_inherited(self) -> None:
        """What a later run inherits stands until it settles that group: then it stays, is replaced or undone."""
        for wanted, left in (([ROUTE], {ROUTE}), ([], set())):
            self.journal = self.open()
            self.journal.undo_leftovers()
            self.journal.settle("tunnel", WANTED)
            later = self.open()
            self.assertEqual(later.undo_leftovers({ROUTE.kind: "tunnel"}), len(WANTED) - 1)
            self.assertEqual((self.kernel.routes, self.kernel.rules), ({ROUTE}, set()))
            later.settle("tunnel", wanted)
            self.assertEqual(self.kernel.routes, left)
            later.undo_all()
            self.assertEqual((self.kernel.routes, decode_journal(self.file.data, KINDS)[1]), (set(), []))

    def test_handed_over(self) -> None:
        """What a run leaves to the next on purpose stands meanwhile, and in the journal; the rest is undone."""
        self.journal.settle("tunnel", WANTED)
        self.journal.undo_all({ROUTE.kind})
        self.assertEqual((self.kernel.routes, self.kernel.rules), ({ROUTE}, set()))
        later = self.open()
        self.assertEqual(later.undo_leftovers({ROUTE.kind: "tunnel"}), 0)
        later.undo_all()
        self.assertEqual((self.kernel.routes, decode_journal(self.file.data, KINDS)[1]), (set(), []))

    def test_inherited_and_killed(self) -> None:
        """What was inherited by a run that was killed at once is still undone by the next."""
        self.journal.settle("tunnel", WANTED)
        self.open().undo_leftovers({ROUTE.kind: "tunnel"})
        self.assertEqual(self.open().undo_leftovers(), 1)
        self.assertEqual(self.kernel.routes, set())

    def test_other_world(self) -> None:
        """After a boot, or in another network namespace, leftovers of the kernel are not touched."""
        self.journal.settle("tunnel", WANTED)
        self.kernel.calls.clear()
        self.open("there").undo_leftovers()
        self.assertEqual(self.kernel.calls, [])
        self.assertEqual(self.open("there").undo_leftovers(), 0)

    def test_torn_line(self) -> None:
        """A half-written last line is a change that was never made; the ones before it count."""
        self.journal.settle("tunnel", [ADDRESS, ROUTE])
        whole = self.file.data
        last = whole.rstrip(b"\n").rfind(b"\n") + 1
        for cut in range(last, len(whole) - 1):
            self.assertEqual([e.change for e in decode_journal(whole[:cut], KINDS)[1]], [ADDRESS], cut)

    @given(st.binary(max_size=200))
    def test_rubbish(self, data: bytes) -> None:
        """No content of the file stops a start."""
        decode_journal(data, KINDS)
        decode_journal(b'{"n": 1, "kind": "route", "fields": 3}\n[1]\n{"undone": 4}\n' + data, KINDS)

    def test_round_trip(self) -> None:
        """Every kind of change comes back from its line as it was, with what undoes it."""
        link = LinkUp("morph0", 1400, 7300, before=(False, 1500, 500, 0))
        for number, change in enumerate([*WANTED, link, Sysctl("net/a", "1", before="0")], 1):
            (entry,) = decode_journal(encode_change(number, change), KINDS)[1]
            self.assertEqual((entry.number, repr(entry.change)), (number, repr(change)))

    def test_settle_twice(self) -> None:
        """The same wishes again write nothing, and ask the kernel for routes that it may have lost."""
        self.journal.settle("tunnel", WANTED)
        written = self.file.data
        self.kernel.routes.clear()
        self.journal.settle("tunnel", WANTED)
        self.assertEqual((self.file.data, self.kernel.routes), (written, {ROUTE}))

    def test_settle_other(self) -> None:
        """The new comes before the old goes; other groups are left alone."""
        self.journal.settle("tunnel", [RULE])
        self.journal.settle("uplinks", [ROUTE])
        self.kernel.calls.clear()
        other = Route("0.0.0.0/0", 7301, "wan")
        self.journal.settle("uplinks", [other])
        self.assertEqual(self.kernel.calls, ["add_route", "remove_route"])
        self.assertEqual((self.kernel.routes, self.kernel.rules), ({other}, {RULE}))

    def test_same_place(self) -> None:
        """A second wish about one device replaces the first, and undoing leads to how things were before both."""
        before = self.kernel.link("morph0")
        for mtu in (1400, 1300):
            self.journal.settle("tunnel", [LinkUp("morph0", mtu, 7300)])
        self.assertEqual(self.kernel.link("morph0").mtu, 1300)
        self.open().undo_leftovers()
        self.assertEqual(self.kernel.link("morph0"), before)

    def test_failure(self) -> None:
        """A change that fails takes back the call's other changes and is told."""
        self.kernel.refuse = {"add_rule"}
        self.assertRaises(HostError, self.journal.settle, "tunnel", WANTED)
        self.assertEqual((self.kernel.routes, self.kernel.addresses, self.journal.standing), (set(), set(), []))

    def test_failure_of_a_successor(self) -> None:
        """What was to replace another and fails, itself or by what comes with it, leaves that one there."""
        before = NftTable("morph0", ("10.73.0.0/24",))
        wider = replace(before, behind=("192.168.7.0/24",))
        for refused, lenient in (("add_route", False), ("nft", False), ("nft", True)):
            self.journal.settle("tunnel", [before])
            tables, self.kernel.refuse = list(self.kernel.tables), {refused}
            if lenient:
                self.journal.settle("tunnel", [wider], lenient=True)
            else:
                self.assertRaises(HostError, self.journal.settle, "tunnel", [wider, ROUTE])
            self.assertEqual((self.kernel.tables, self.journal.standing), (tables, [before]))
            self.assertEqual([each.change for each in decode_journal(self.file.data, KINDS)[1]], [before])
            self.kernel.refuse = set()
            self.journal.settle("tunnel", [wider, ROUTE])
            self.assertEqual((self.journal.mend(lambda change: False), self.kernel.routes), ([], {ROUTE}))
        self.journal.undo_all()
        self.assertEqual((self.kernel.tables, self.kernel.routes), ([], set()))

    def test_failure_puts_back(self) -> None:
        """A successor that was made, before what came with it failed, is replaced by what was there before it."""
        before = self.kernel.link("morph0")
        self.journal.settle("tunnel", [LinkUp("morph0", 1400, 7300)])
        self.kernel.refuse = {"add_rule"}
        self.assertRaises(HostError, self.journal.settle, "tunnel", [LinkUp("morph0", 1300, 7300), RULE])
        self.assertEqual((self.kernel.link("morph0").mtu, len(self.journal.standing)), (1400, 1))
        self.open().undo_leftovers()
        self.assertEqual(self.kernel.link("morph0"), before)

    def test_lenient(self) -> None:
        """Leniently, what fails is passed over, and tried again the next time."""
        self.kernel.refuse = {"add_rule"}
        self.journal.settle("uplinks", WANTED, lenient=True)
        self.assertEqual((self.kernel.routes, self.kernel.rules), ({ROUTE}, set()))
        self.kernel.refuse = set()
        self.journal.settle("uplinks", WANTED, lenient=True)
        self.assertEqual(self.kernel.rules, {RULE})

    def test_not_undone(self) -> None:
        """What cannot be undone stays in the journal, and does not keep the rest from being undone."""
        self.journal.settle("tunnel", WANTED)
        self.kernel.refuse = {"remove_route"}
        self.journal.undo_all()
        self.assertEqual((self.kernel.rules, self.kernel.addresses), (set(), set()))
        self.kernel.refuse = set()
        self.assertEqual(self.open().undo_leftovers(), 1)
        self.assertEqual(self.kernel.routes, set())
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_mend(self) -> None:
        """Of what was made, exactly what somebody took away is made again; nothing is written for it."""
        self.journal.settle("tunnel", WANTED)
        written = self.file.data
        self.assertEqual(self.journal.mend(lambda change: False), [])
        self.kernel.rules.clear()
        self.kernel.addresses.clear()
        self.kernel.calls.clear()
        self.assertEqual(self.journal.mend(lambda change: False), [Mended(ADDRESS), Mended(RULE)])
        self.assertEqual((self.kernel.calls, self.file.data), (["add_address", "add_rule"], written))

    def test_mend_every_kind(self) -> None:
        """Every kind of change stands once it is made, and does not once somebody has undone it."""
        self.kernel.values |= {"net/x": "0", "net/ipv4/ip_forward": "0"}
        self.kernel.values["net/ipv4/conf/all/accept_redirects"] = "0"
        kinds = [*WANTED, Sysctl("net/x", "1"), Forwarding(4), NftTable("morph0"), ResolvConf(("10.73.0.1",))]
        kinds.append(HostsBlock(("10.73.0.3 bert",)))
        self.journal.settle("tunnel", kinds)
        self.assertEqual(self.journal.mend(lambda change: False), [])
        for change in self.journal.standing:
            change.undo(self.kernel)
            self.assertIn(Mended(change), self.journal.mend(lambda change: False), change)
            self.assertEqual(self.journal.mend(lambda change: False), [], change)

    def test_mend_later(self) -> None:
        """What shall be left for now is left; what cannot be made is told, and keeps nothing else from being made."""
        self.journal.settle("tunnel", WANTED)
        self.kernel.rules.clear()
        self.kernel.routes.clear()
        self.assertEqual(self.journal.mend(lambda change: change == RULE), [Mended(ROUTE)])
        self.kernel.addresses.clear()
        self.kernel.refuse = {"add_address"}
        self.assertEqual(
            self.journal.mend(lambda change: False), [Mended(ADDRESS, "add_address: not permitted"), Mended(RULE)]
        )

    def test_mend_unwanted(self) -> None:
        """What could not be undone is not made again, unless it is wanted again."""
        self.journal.settle("tunnel", [RULE])
        self.kernel.refuse = {"remove_rule"}
        self.journal.settle("tunnel", [])
        self.kernel.refuse = set()
        self.kernel.rules.clear()
        self.assertEqual(self.journal.mend(lambda change: False), [])
        self.journal.settle("tunnel", [RULE])
        self.kernel.rules.clear()
        self.assertEqual(self.journal.mend(lambda change: False), [Mended(RULE)])

    def test_mend_before(self) -> None:
        """How somebody else left a thing is how it is left in the end, also if we are killed."""
        self.kernel.values["net/x"] = "5"
        self.journal.settle("tunnel", [Sysctl("net/x", "1"), RULE])
        self.kernel.values["net/x"] = "7"
        self.journal.mend(lambda change: False)
        self.assertEqual(self.kernel.values["net/x"], "1")
        self.assertEqual([each.number for each in decode_journal(self.file.data, KINDS)[1]], [1, 2])
        self.open().undo_leftovers()
        self.assertEqual(self.kernel.values["net/x"], "7")

    def test_settle_mends(self) -> None:
        """Settling what was changed by somebody else meanwhile learns what is to be restored as well."""
        change = ResolvConf(("10.73.0.1",))
        self.kernel.files["/etc/resolv.conf"] = FileState("file", "nameserver 1.1.1.1\n")
        self.journal.settle("dns", [change])
        self.kernel.files["/etc/resolv.conf"] = FileState("file", "nameserver 2.2.2.2\n")
        self.journal.settle("dns", [change])
        self.assertIn("nameserver 10.73.0.1", self.kernel.files["/etc/resolv.conf"].content)
        self.journal.undo_all()
        self.assertEqual(self.kernel.files["/etc/resolv.conf"].content, "nameserver 2.2.2.2\n")

    def test_disk_full(self) -> None:
        """At a full disk nothing is changed any more, but everything is undone."""
        self.journal.settle("tunnel", WANTED)
        self.file.full = True
        self.assertRaises(HostError, self.journal.settle, "uplinks", [Route("::/0", 7301, "wan")])
        self.journal.undo_all()
        self.assertEqual((self.kernel.routes, self.kernel.rules, self.kernel.addresses), (set(), set(), set()))

    def test_disk_full_for_a_moment(self) -> None:
        """Wherever a full disk cuts a line: what is changed after there is room again is known to the next start."""
        other = Route("::/0", 7301, "wan")
        for room in range(len(encode_change(2, other)) - 1):
            self.setUp()
            self.journal.settle("tunnel", [RULE])
            self.file.room = room
            self.assertRaises(HostError, self.journal.settle, "uplinks", [other])
            self.assertEqual(self.journal.standing, [RULE], room)
            self.file.room = -1
            self.journal.settle("uplinks", [ROUTE])
            self.assertEqual({e.change for e in decode_journal(self.file.data, KINDS)[1]}, {RULE, ROUTE}, room)
            self.assertEqual(self.open().undo_leftovers(), 2)
            self.assertEqual((self.kernel.rules, self.kernel.routes), (set(), set()))

    def test_disk_full_while_undoing(self) -> None:
        """What was undone while the disk was full does not hide what is changed later."""
        self.journal.settle("tunnel", [RULE])
        self.journal.settle("uplinks", [ROUTE])
        self.file.room = 5
        self.journal.undo_group("uplinks")
        self.file.room = -1
        self.journal.settle("uplinks", [ADDRESS])
        self.assertEqual({e.change for e in decode_journal(self.file.data, KINDS)[1]}, {RULE, ADDRESS})

    def test_disk_full_at_start(self) -> None:
        """A full disk does not keep a start from undoing what an earlier run left; it changes nothing new."""
        self.journal.settle("tunnel", WANTED)
        self.file.full = True
        later = self.open()
        self.assertEqual(later.undo_leftovers(), len(WANTED))
        self.assertEqual((self.kernel.routes, self.kernel.rules, self.kernel.addresses), (set(), set(), set()))
        self.assertRaises(HostError, later.settle, "tunnel", WANTED)
        self.file.full = False
        later.settle("tunnel", [ROUTE])
        self.assertEqual([e.change for e in decode_journal(self.file.data, KINDS)[1]], [ROUTE])

    def test_path_of_another(self) -> None:
        """Which file is put back is not for the journal to say: another user may have written it."""
        before = ["file", "root::0:0:::\n", 420]
        fields = {"servers": ["10.73.0.1"], "path": "/etc/shadow", "before": before}
        self.file.data += f"{json.dumps({'n': 7, 'kind': 'resolv-conf', 'fields': fields})}\n".encode()
        ((change),) = [each.change for each in decode_journal(self.file.data, KINDS)[1]]
        self.assertEqual(change.place, RESOLV_CONF)

    def test_spoilt_values(self) -> None:
        """A value that no change ever had stops neither the start nor the undoing of the rest."""
        self.journal.settle("tunnel", [ROUTE])
        good: dict[str, object] = {"name": "net/a", "value": "1", "before": "0"}
        lines = [{"n": number, "kind": "sysctl", "fields": good} for number in ("x", None, [1], 1e400)]
        for wrong in (5, None, ["a"], {"b": 1}, [["c"]], "\0"):
            for name in good:
                lines.append({"n": 100 + len(lines), "kind": "sysctl", "fields": {**good, name: wrong}})
        self.file.data += "".join(f"{json.dumps(each)}\n" for each in lines).encode()
        self.open().undo_leftovers()
        self.assertEqual(self.kernel.routes, set())
        self.assertEqual(self.open().undo_leftovers(), 0)

    def test_gone(self) -> None:
        """That a device took its address along is no trouble."""
        self.journal.settle("tunnel", WANTED)
        self.kernel.addresses.clear()
        self.kernel.links.clear()
        self.journal.undo_all()
        self.assertEqual(self.journal.standing, [])

    def test_stays_small(self) -> None:
        """A link that comes and goes for ever does not make the file grow for ever."""
        self.journal.settle("tunnel", [RULE])
        for turn in range(2 * COMPACT_AT):
            self.journal.settle("uplinks", [ROUTE] if turn % 2 else [])
        self.assertLess(self.file.data.count(b"\n"), COMPACT_AT + 10)
        self.assertEqual({e.change for e in decode_journal(self.file.data, KINDS)[1]}, {RULE, ROUTE})
