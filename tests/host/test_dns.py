"""DNS servers: by which tool, and what comes back."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.dns import (
    RESOLV_CONF,
    RESOLVED_UPSTREAM,
    ResolvConf,
    Resolvconf,
    Resolved,
    Wish,
    asked_beneath,
    dns_changes,
    files_of,
    nameservers,
    upstream_servers,
)
from morphnet.host.journal import Change
from morphnet.host.kernel import FileState, Missing
from morphnet.host.look import Look
from tests.host.fake_kernel import FakeKernel

OLD = FileState("file", "search lan\nnameserver 192.168.1.1\n", 0o640)


class DnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.kernel = FakeKernel()
        self.kernel.files[RESOLV_CONF] = OLD

    def applied(self) -> ResolvConf:
        change = ResolvConf(("10.73.0.1", "fd73::1")).prepared(self.kernel)
        change.apply(self.kernel)
        return change

    def test_which_way(self) -> None:
        """systemd-resolved only where it runs, else resolvconf, else the file."""
        self.assertEqual(dns_changes(self.kernel, "morph0", Wish(("10.73.0.1",))), [ResolvConf(("10.73.0.1",))])
        self.kernel.tools = {"resolvectl", "resolvconf"}
        self.assertEqual(
            dns_changes(self.kernel, "morph0", Wish(("10.73.0.1",))), [Resolvconf("morph0", ("10.73.0.1",))]
        )
        self.kernel.files[RESOLVED_UPSTREAM] = FileState("file", "")
        self.assertEqual(dns_changes(self.kernel, "morph0", Wish(("10.73.0.1",))), [Resolved("morph0", ("10.73.0.1",))])

    def test_from_the_peer(self) -> None:
        """What the other side sends and is no address gets nowhere near a file or a command line."""
        evil = ["8.8.8.8\nnameserver 6.6.6.6", "--help", "", "1.2.3.4 x", "8.8.4.4"]
        (change,) = dns_changes(self.kernel, "morph0", Wish(tuple(evil)))
        self.assertIsInstance(change, ResolvConf)
        assert isinstance(change, ResolvConf)
        for word in ("--help", "x", "\n"):
            self.assertNotIn(word, "".join(change.servers))
        self.assertEqual(dns_changes(self.kernel, "morph0", Wish(("--help",))), [])

    def test_resolved(self) -> None:
        """All names go to the TUN's servers, and the device's settings are reverted while it is there."""
        change = Resolved("morph0", ("10.73.0.1", "fd73::1"))
        change.apply(self.kernel)
        change.undo(self.kernel)
        commands = [" ".join(words) for words, _ in self.kernel.ran]
        expected = [
            "resolvectl dns morph0 10.73.0.1 fd73::1",
            "resolvectl domain morph0 ~.",
            "resolvectl revert morph0",
        ]
        self.assertEqual(commands, expected)
        self.kernel.links.clear()
        self.assertRaises(Missing, change.undo, self.kernel)

    def test_split(self) -> None:
        """Some names alone: by systemd-resolved, or by our own server in resolv.conf; resolvconf cannot."""
        wish = Wish(("10.73.0.1",), True, ("morph", "0.73.10.in-addr.arpa", "corp.example"), "127.0.0.73")
        (change,) = dns_changes(self.kernel, "morph0", wish)
        self.assertEqual(change, ResolvConf(("127.0.0.73",), search=True))
        self.assertEqual(dns_changes(self.kernel, "morph0", replace(wish, stub="")), [])
        self.kernel.tools = {"resolvectl", "resolvconf"}
        self.assertEqual(dns_changes(self.kernel, "morph0", wish), [])
        self.kernel.files[RESOLVED_UPSTREAM] = FileState("file", "")
        (change,) = dns_changes(self.kernel, "morph0", wish)
        change.apply(self.kernel)
        expected = [
            "resolvectl dns morph0 10.73.0.1",
            "resolvectl domain morph0 morph ~0.73.10.in-addr.arpa ~corp.example",
            "resolvectl default-route morph0 no",
        ]
        self.assertEqual([" ".join(words) for words, _ in self.kernel.ran], expected)
        self.assertEqual(dns_changes(self.kernel, "morph0", replace(wish, domains=("-x; y",))), [])
        (whole,) = dns_changes(self.kernel, "morph0", replace(wish, domains=()))
        self.assertEqual(whole, Resolved("morph0", ("10.73.0.1",), ("morph", "~.")))

    def test_search(self) -> None:
        """Names are completed by the network's domain first; every other line is as it was, and it comes back whole."""
        old = "domain lan\nsearch hotel.example corp.example\nnameserver 192.168.1.1\noptions edns0\n"
        self.kernel.files[RESOLV_CONF] = FileState("file", old)
        change = ResolvConf(("10.73.0.1",), search=True).prepared(self.kernel)
        change.apply(self.kernel)
        _, *lines = self.kernel.file(RESOLV_CONF).content.splitlines()
        self.assertEqual(lines, ["options edns0", "search morph hotel.example corp.example", "nameserver 10.73.0.1"])
        self.kernel.files[RESOLV_CONF] = FileState("file", change.text(self.kernel) + "options rotate\n")
        again = change.prepared(self.kernel)
        again.apply(self.kernel)
        self.assertEqual(self.kernel.file(RESOLV_CONF).content.count("search morph"), 1)
        again.undo(self.kernel)
        back = "options edns0\nsearch hotel.example corp.example\noptions rotate\nnameserver 192.168.1.1\n"
        self.assertEqual(self.kernel.file(RESOLV_CONF).content, back)

    def test_beneath(self) -> None:
        """With our own server in the file it is to be read whom that asks for the rest; nobody else's word counts."""
        change = ResolvConf(("127.0.0.73",), search=True).prepared(self.kernel)
        change.apply(self.kernel)
        text = self.kernel.file(RESOLV_CONF).content
        self.assertEqual((nameservers(text), asked_beneath(text)), (["127.0.0.73"], ["192.168.1.1"]))
        self.assertEqual(asked_beneath(text.partition("\n")[2]), [])
        self.assertTrue(change.stands(Look(self.kernel)))
        self.kernel.files[RESOLV_CONF] = FileState("file", text + "options rotate\n")
        again = change.prepared(self.kernel)
        again.apply(self.kernel)
        self.assertEqual(asked_beneath(self.kernel.file(RESOLV_CONF).content), ["192.168.1.1"])
        again.undo(self.kernel)
        back = "search lan\noptions rotate\nnameserver 192.168.1.1\n"
        self.assertEqual(self.kernel.file(RESOLV_CONF).content, back)

    def test_stub_of_another(self) -> None:
        """The server of another client, or of a run that left no journal, is not taken for the machine's own."""
        for servers in (("10.74.0.1",), ("127.0.0.73",)):
            self.kernel.files[RESOLV_CONF] = OLD
            ResolvConf(("127.0.0.73",), search=True).prepared(self.kernel).apply(self.kernel)
            change = ResolvConf(servers, search=True).prepared(self.kernel)
            change.apply(self.kernel)
            self.assertEqual(upstream_servers(self.kernel, [change]), ["192.168.1.1"])
            change.undo(self.kernel)
            self.assertEqual(self.kernel.file(RESOLV_CONF).content, OLD.content)

    def test_resolvconf(self) -> None:
        """The servers go in by standard input, under a name that sorts first."""
        change = Resolvconf("morph0", ("10.73.0.1",))
        change.apply(self.kernel)
        change.undo(self.kernel)
        add, remove = self.kernel.ran
        self.assertEqual(add, (("resolvconf", "-a", "tun.morph0", "-m", "0", "-x"), "nameserver 10.73.0.1\n"))
        self.assertEqual(remove[0], ("resolvconf", "-d", "tun.morph0", "-f"))

    def test_file(self) -> None:
        """resolv.conf comes back with its mode."""
        change = self.applied()
        self.assertEqual(nameservers(self.kernel.file(RESOLV_CONF).content), ["10.73.0.1", "fd73::1"])
        change.undo(self.kernel)
        self.assertEqual(self.kernel.file(RESOLV_CONF), OLD)

    def rewritten(self, text: str) -> ResolvConf:
        """Somebody writes the file while ours is in use, and we set ours again."""
        change = self.applied()
        self.kernel.files[RESOLV_CONF] = FileState("file", text)
        self.assertFalse(change.stands(Look(self.kernel)))
        change = change.prepared(self.kernel)
        change.apply(self.kernel)
        self.assertTrue(change.stands(Look(self.kernel)))
        return change

    def test_other_lines_stay(self) -> None:
        """Only the servers are replaced: search, options and comments stay."""
        old = "# by hand\nsearch corp.example\noptions ndots:2\nnameserver 192.168.1.1\nsortlist 10.0.0.0\n"
        self.kernel.files[RESOLV_CONF] = FileState("file", old)
        self.applied()
        sign, *lines = self.kernel.file(RESOLV_CONF).content.splitlines()
        kept = ["# by hand", "search corp.example", "options ndots:2", "sortlist 10.0.0.0"]
        self.assertIn("made by morphnet", sign)
        self.assertEqual(lines, [*kept, "nameserver 10.73.0.1", "nameserver fd73::1"])

    def test_written_by_another(self) -> None:
        """What somebody else writes meanwhile is what comes back in the end."""
        theirs = "search hotel.example\nnameserver 192.168.1.254\n"
        change = self.rewritten(theirs)
        self.assertIn("search hotel.example", self.kernel.file(RESOLV_CONF).content)
        self.assertEqual(upstream_servers(self.kernel, [change]), ["192.168.1.254"])
        change.undo(self.kernel)
        self.assertEqual(self.kernel.file(RESOLV_CONF).content, theirs)

    def test_ours_taken_for_theirs(self) -> None:
        """Who edits our text, or keeps our servers for want of others, gets the machine's own servers in the end."""
        ours = "nameserver 10.73.0.1\nnameserver fd73::1\n"
        for text, ends in (
            (f"search hotel\n{ours}", "search hotel\nnameserver 192.168.1.1\n"),
            (f"{ours}nameserver 9.9.9.9\n", "nameserver 9.9.9.9\n"),
            ("nameserver 10.73.0.1\n", "nameserver 10.73.0.1\n"),  # one of ours alone: who knows
        ):
            self.kernel.files[RESOLV_CONF] = OLD
            self.rewritten(text).undo(self.kernel)
            self.assertEqual(self.kernel.file(RESOLV_CONF).content, ends)
        self.kernel.files[RESOLV_CONF] = OLD
        edited = self.applied().text(self.kernel) + "options edns0\n"
        self.kernel.files[RESOLV_CONF] = OLD
        self.rewritten(edited).undo(self.kernel)
        self.assertEqual(self.kernel.file(RESOLV_CONF).content, "search lan\noptions edns0\nnameserver 192.168.1.1\n")

    def test_not_ours_any_more(self) -> None:
        """What somebody wrote over ours in the last moment is not touched by undoing."""
        change = self.applied()
        theirs = self.kernel.files[RESOLV_CONF] = FileState("file", "nameserver 10.0.0.1\n")
        change.undo(self.kernel)
        self.assertEqual(self.kernel.file(RESOLV_CONF), theirs)

    def test_behind_a_link(self) -> None:
        """Where the file was a link, new lines behind it are taken over, and the link comes back."""
        self.kernel.files[RESOLV_CONF] = link = FileState("link", "/run/nm/resolv.conf")
        self.kernel.files["/run/nm/resolv.conf"] = FileState("file", "search home\nnameserver 192.168.1.1\n")
        change = self.applied()
        self.assertEqual(files_of([change]), {RESOLV_CONF, "/run/nm/resolv.conf"})
        self.kernel.files["/run/nm/resolv.conf"] = FileState("file", "search office\nnameserver 10.0.0.1\n")
        self.assertFalse(change.stands(Look(self.kernel)))
        change = change.prepared(self.kernel)
        change.apply(self.kernel)
        self.assertIn("\nsearch office\nnameserver 10.73.0.1\n", self.kernel.file(RESOLV_CONF).content)
        change.undo(self.kernel)
        self.assertEqual(self.kernel.file(RESOLV_CONF), link)

    def test_tools_stand(self) -> None:
        """With a tool, our servers are in what it makes of all; or there is our record."""
        resolved, resolvconf = Resolved("morph0", ("10.73.0.1",)), Resolvconf("morph0", ("10.73.0.1",))
        without, with_ours = FileState("file", "nameserver 1.1.1.1\n"), FileState("file", "nameserver 10.73.0.1\n")
        for change, path in ((resolved, RESOLVED_UPSTREAM), (resolvconf, RESOLV_CONF)):
            self.kernel.files[path] = with_ours
            self.assertTrue(change.stands(Look(self.kernel)))
            self.kernel.files[path] = without
            self.assertFalse(change.stands(Look(self.kernel)))
            self.assertEqual(files_of([change]), {path})
        self.kernel.files["/run/resolvconf/interface/tun.morph0"] = with_ours
        self.assertTrue(resolvconf.stands(Look(self.kernel)))
        del self.kernel.files[RESOLVED_UPSTREAM]  # it does not run any more: nothing to be done
        self.assertTrue(resolved.stands(Look(self.kernel)))

    def test_upstream(self) -> None:
        """The machine's own servers are known whatever we have set, also behind a link."""
        self.assertEqual(upstream_servers(self.kernel, []), ["192.168.1.1"])
        standing: list[Change] = [self.applied()]
        self.assertEqual(upstream_servers(self.kernel, standing), ["192.168.1.1"])
        self.kernel.files[RESOLV_CONF] = FileState("file", "nameserver 10.0.0.1\n")
        self.assertEqual(upstream_servers(self.kernel, standing), ["10.0.0.1"])  # of the network that we are in now
        self.kernel.files["/run/stub"] = FileState("file", "nameserver 9.9.9.9\n")
        self.kernel.files[RESOLV_CONF] = FileState("link", "../run/stub")
        self.kernel.files["/etc/../run/stub"] = self.kernel.files["/run/stub"]
        self.assertEqual(upstream_servers(self.kernel, []), ["9.9.9.9"])
        self.kernel.files[RESOLVED_UPSTREAM] = FileState("file", "nameserver 10.73.0.1\nnameserver 1.1.1.1\n")
        self.assertEqual(upstream_servers(self.kernel, [Resolved("morph0", ("10.73.0.1",))]), ["1.1.1.1"])

    def test_nameservers(self) -> None:
        """Comments, other words and names are passed over; a zone is kept."""
        text = "# nameserver 1.1.1.1\nnameserver\nnameserver dns.lan\n nameserver\tfe80::1%eth0 \noptions x\n"
        self.assertEqual(nameservers(text), ["fe80::1%eth0"])
