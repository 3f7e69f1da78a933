"""Names of peers: our block, and all that is around it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.host.host import KINDS
from morphnet.host.hosts import BEGIN, END, HOSTS, MOST_NAMES, HostsBlock, hosts_changes, with_block
from morphnet.host.journal import Journal
from morphnet.host.kernel import FileState
from tests.host.fake_kernel import FakeFile, FakeKernel

OLD = "127.0.0.1 localhost\r\n\n# a comment\n192.168.1.9\tNas nas.lan # the old one"
BERT = "10.73.0.3 bert"
BOTH = f"{BERT}\n{BERT}.morph"  # as a peer gets them
BLOCK = f"{BEGIN}\n{BERT}\n{END}\n"
LINES = st.sampled_from(("1.2.3.4 carl", BERT, BEGIN, END, "# \x85", "", "\udcff\r", f"{BEGIN} ", f"x {END}"))
TEXTS = st.builds(lambda lines, end: "\n".join(lines) + end, st.lists(LINES, max_size=8), st.sampled_from(("", "\n")))


class BlockTests(SynchronousTestCase):
    """The text."""

    def test_appended(self) -> None:
        """Behind what is there, on a line of its own; and gone again, to the byte."""
        for old in (OLD, OLD + "\n", "", "\n", "\udcff\x85\n"):
            opened = bool(old) and not old.endswith("\n")
            with_it = with_block(old, [BERT])
            self.assertEqual(with_it, old + ("\n" if opened else "") + BLOCK)
            self.assertEqual(with_block(with_it, [BERT], opened=opened), with_it)
            self.assertEqual(with_block(with_it, [], opened=opened), old)

    def test_stays_in_place(self) -> None:
        """What others write behind it stays there, also when our lines change; then no end of line is taken back."""
        text = with_block(OLD, [BERT]) + "1.2.3.4 carl"
        other = with_block(text, ["10.73.0.4 dora"], opened=True)
        self.assertEqual(other, f"{OLD}\n{BEGIN}\n10.73.0.4 dora\n{END}\n1.2.3.4 carl")
        self.assertEqual(with_block(other, [], opened=True), OLD + "\n1.2.3.4 carl")

    def test_not_shadowed(self) -> None:
        """A name that the file has outside of our block is left to it, in whatever case; one in a comment is not."""
        text = with_block(OLD, [BERT, "10.73.0.9 nas", "10.73.0.8 NAS.LAN", "10.73.0.7 old"])
        self.assertEqual(text, f"{OLD}\n{BEGIN}\n{BERT}\n10.73.0.7 old\n{END}\n")
        self.assertEqual(with_block(OLD, ["10.73.0.9 nas"]), OLD)
        self.assertEqual(with_block(text + "1.2.3.4 bert\n", [BERT], opened=True), f"{OLD}\n1.2.3.4 bert\n")

    def test_damaged(self) -> None:
        """Without its end a block is only what looks like ours; an end alone is nobody's; a copy is removed too."""
        cut = f"{OLD}\n{BEGIN}\n{BERT}\n1.2.3.4 carl dora\n"
        self.assertEqual(with_block(cut, []), f"{OLD}\n1.2.3.4 carl dora\n")
        self.assertEqual(with_block(cut, [BERT]), f"{OLD}\n{BLOCK}1.2.3.4 carl dora\n")
        self.assertEqual(with_block(f"{BEGIN}\n{BERT}\n# mine\n{BLOCK}", []), "# mine\n")
        self.assertEqual(with_block(f"a\n{END}\nb\n", []), f"a\n{END}\nb\n")
        self.assertEqual(with_block(f"a\n{BLOCK}b\n{BLOCK}", [BERT]), f"a\n{BLOCK}b\n")
        self.assertEqual(with_block(f"{BEGIN}\n10.73.0.3 be", [BERT]), BLOCK)
        self.assertEqual(with_block(BLOCK.replace("\n", "\r\n"), []), "")

    @given(TEXTS)
    def test_any_text(self, text: str) -> None:
        """Whatever the file is like: no block is left, what was outside is kept, and doing it twice changes nothing."""
        without = with_block(text, [])
        self.assertNotIn(BLOCK, without)
        self.assertEqual(with_block(without, []), without)
        for line in ("1.2.3.4 carl", "# \x85", "\udcff\r"):
            self.assertLessEqual(without.count(line), text.count(line))
        once = with_block(text, ["10.73.0.5 emil"])
        self.assertEqual(with_block(once, ["10.73.0.5 emil"]), once)
        self.assertEqual(with_block(once, [], opened=not without.endswith("\n")), without)


def both(name: str, *addresses: str) -> tuple[str, ...]:
    """The lines of a machine: each address by its name alone, then by that under the network's domain."""
    return tuple(f"{address} {each}" for each in (name, f"{name}.morph") for address in addresses)


class WishTests(SynchronousTestCase):
    """What comes from peers."""

    def lines(self, names: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
        return tuple(line for change in hosts_changes(names) if isinstance(change, HostsBlock) for line in change.lines)

    def test_sorted(self) -> None:
        """A line for each address, by name, so that the order in which peers come writes nothing anew."""
        names = {"nas": ("10.73.0.4",), "bert": ("10.73.0.3", "fd73::3")}
        self.assertEqual(self.lines(names), (*both("bert", "10.73.0.3", "fd73::3"), *both("nas", "10.73.0.4")))
        self.assertEqual(hosts_changes({}), [])

    def test_hostile(self) -> None:
        """What could be more than a name or an address gets nowhere near the file."""
        good = ("10.73.0.3",)
        evil = (
            "a b",
            "a\nb",
            "a\n",
            "#a",
            "",
            "-a",
            "a-",
            ".",
            "10.0.0.1",
            "ä",
            "localhost",
            "Bert",
            "a" * 64,
            "a\x1b",
        )
        self.assertEqual(self.lines(dict.fromkeys(evil, good)), ())
        self.assertEqual(
            self.lines({"a": ("10.73.0.3 x", "", "fe80::1%x\n1.2.3.4 google", "nas")}), both("a", "fe80::1")
        )

    def test_not_the_worlds(self) -> None:
        """No peer is a site of the world, an address in any spelling, or what every machine knows or asks for."""
        good = ("10.73.0.3",)
        others = (
            "github.com",
            "www.bank.example",
            "nas.lan",
            "x.localhost",
            "42",
            "0x7f",
            "2130706433",
            "wpad",
            "isatap",
        )
        self.assertEqual(self.lines(dict.fromkeys(others, good)), ())

    def test_taken(self) -> None:
        """A peer that is called like a host that we call, or like this machine, is not known by that name."""
        names = {"gateway": ("10.73.0.3",), "laptop": ("10.73.0.4",), "nas": ("10.73.0.5",)}
        (change,) = hosts_changes(names, ("Gateway", "laptop"))
        assert isinstance(change, HostsBlock)
        self.assertEqual(change.lines, both("nas", "10.73.0.5"))

    def test_bounded(self) -> None:
        """Neither many peers nor many addresses make a long file."""
        many = {f"m{i:04}": tuple(f"10.73.0.{j}" for j in range(20)) for i in range(1000)}
        lines = self.lines(many)
        self.assertEqual(len(lines), 2 * 4 * MOST_NAMES)
        self.assertTrue(lines[-1].endswith(" m0255.morph"))


class ChangeTests(SynchronousTestCase):
    """The file, as the journal keeps it."""

    def setUp(self) -> None:
        self.kernel, self.file = FakeKernel(), FakeFile()
        self.kernel.files[HOSTS] = FileState("file", OLD, 0o640)
        self.journal = self.open()

    def open(self) -> Journal:
        return Journal(self.file, self.kernel, KINDS, "here")

    def settle(self, **names: str) -> None:
        changes = hosts_changes({name: (address,) for name, address in names.items()})
        self.journal.settle("names", changes, lenient=True)

    @property
    def content(self) -> str:
        return self.kernel.file(HOSTS).content

    def test_undone(self) -> None:
        """Peers come and go; at the end the file is as it was."""
        self.settle(bert="10.73.0.3")
        self.settle(bert="10.73.0.3", nas="10.73.0.9", dora="10.73.0.4")
        dora = "\n".join(both("dora", "10.73.0.4"))
        self.assertEqual(self.content, f"{OLD}\n{BEGIN}\n{BOTH}\n{dora}\n10.73.0.9 nas.morph\n{END}\n")
        self.settle(dora="10.73.0.4")
        self.settle()
        self.assertEqual(self.kernel.file(HOSTS), FileState("file", OLD, 0o640))
        self.assertEqual(self.journal.standing, [])

    def test_stands(self) -> None:
        """A file from which somebody has taken the block gets it again; the block of a second client here is left."""
        self.settle(bert="10.73.0.3")
        ours = self.content
        for text in (OLD, ours.replace(END, ""), "127.0.0.1 localhost\n", ""):
            self.kernel.files[HOSTS] = FileState("file", text, 0o640)
            self.assertEqual(len(self.journal.mend(lambda change: False)), 1, text)
            self.assertIn(f"{BEGIN}\n{BOTH}\n{END}\n", self.content)
        self.kernel.files[HOSTS] = FileState("file", ours.replace(BERT, "10.74.0.9 boss"), 0o640)
        self.assertEqual(self.journal.mend(lambda change: False), [])

    def test_killed(self) -> None:
        """The next run finds the block by its lines, whoever else wrote in the file meanwhile."""
        self.settle(bert="10.73.0.3")
        self.settle(dora="10.73.0.4")
        self.kernel.files[HOSTS] = FileState("file", "# new\n" + self.content, 0o640)
        self.assertEqual(self.open().undo_leftovers(), 1)
        self.assertEqual(self.kernel.file(HOSTS), FileState("file", "# new\n" + OLD, 0o640))

    def test_killed_before(self) -> None:
        """A change that was written down and never made leaves nothing to undo."""
        self.kernel.called = lambda name: (_ for _ in ()).throw(KeyboardInterrupt())
        self.assertRaises(KeyboardInterrupt, self.settle, bert="10.73.0.3")
        self.kernel.called = self.kernel.calls.append
        self.assertEqual(self.open().undo_leftovers(), 1)
        self.assertEqual((self.content, self.kernel.calls), (OLD, []))

    def test_quiet(self) -> None:
        """Nothing is written when nothing differs; a block that somebody took away comes back."""
        self.settle(bert="10.73.0.3")
        written = self.content
        self.settle(bert="10.73.0.3")
        self.assertEqual(self.kernel.calls, ["set_file"])
        self.kernel.files[HOSTS] = FileState("file", OLD)
        self.settle(bert="10.73.0.3")
        self.assertEqual(self.content, written)

    def test_no_file(self) -> None:
        """Where there was none there is none again, unless somebody else has made use of it."""
        del self.kernel.files[HOSTS]
        self.settle(bert="10.73.0.3")
        self.assertEqual(self.content, BLOCK.replace(BERT, BOTH))
        self.settle()
        self.assertEqual(self.kernel.file(HOSTS).kind, "none")
        self.settle(bert="10.73.0.3")
        self.kernel.files[HOSTS] = FileState("file", BLOCK + "1.2.3.4 carl\n")
        self.settle()
        self.assertEqual(self.kernel.file(HOSTS), FileState("file", "1.2.3.4 carl\n"))

    def test_link(self) -> None:
        """A link is left alone, as somebody else keeps what it leads to."""
        self.kernel.files[HOSTS] = FileState("link", "static/hosts")
        self.assertRaises(HostError, self.settle, bert="10.73.0.3")
        self.assertEqual((self.kernel.file(HOSTS).kind, self.journal.standing), ("link", []))

    def test_refused(self) -> None:
        """A file that cannot be written costs a line in the log, and is tried again the next time."""
        self.kernel.refuse = {"set_file"}
        self.settle(bert="10.73.0.3")
        self.kernel.refuse.clear()
        self.assertEqual((self.content, self.journal.standing), (OLD, []))
        self.settle(bert="10.73.0.3")
        self.assertIn(BERT, self.content)
