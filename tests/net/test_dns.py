"""DNS servers: by which tool, and what comes back."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.dns import (
    RESOLV_CONF,
    RESOLVED_UPSTREAM,
    ResolvConf,
    Resolvconf,
    Resolved,
    dns_changes,
    nameservers,
    taken_over,
    upstream_servers,
)
from morphnet.net.journal import Change
from morphnet.net.kernel import FileState, Missing
from tests.net.fake_kernel import FakeKernel

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
        self.assertEqual(dns_changes(self.kernel, "morph0", ["10.73.0.1"]), [ResolvConf(("10.73.0.1",))])
        self.kernel.tools = {"resolvectl", "resolvconf"}
        self.assertEqual(dns_changes(self.kernel, "morph0", ["10.73.0.1"]), [Resolvconf("morph0", ("10.73.0.1",))])
        self.kernel.files[RESOLVED_UPSTREAM] = FileState("file", "")
        self.assertEqual(dns_changes(self.kernel, "morph0", ["10.73.0.1"]), [Resolved("morph0", ("10.73.0.1",))])

    def test_from_the_peer(self) -> None:
        """What the other side sends and is no address gets nowhere near a file or a command line."""
        evil = ["8.8.8.8\nnameserver 6.6.6.6", "--help", "", "1.2.3.4 x", "8.8.4.4"]
        (change,) = dns_changes(self.kernel, "morph0", evil)
        self.assertIsInstance(change, ResolvConf)
        assert isinstance(change, ResolvConf)
        for word in ("--help", "x", "\n"):
            self.assertNotIn(word, "".join(change.servers))
        self.assertEqual(dns_changes(self.kernel, "morph0", ["--help"]), [])

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

    def test_taken_over(self) -> None:
        """What somebody else wrote over ours is not touched."""
        change = self.applied()
        self.assertFalse(taken_over(self.kernel, [change]))
        theirs = self.kernel.files[RESOLV_CONF] = FileState("file", "nameserver 10.0.0.1\n")
        self.assertTrue(taken_over(self.kernel, [change]))
        change.undo(self.kernel)
        self.assertEqual(self.kernel.file(RESOLV_CONF), theirs)

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
