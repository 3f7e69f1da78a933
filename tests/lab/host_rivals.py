"""Others who take away what we have set, on a real kernel: cases of host_box. Figure H9."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from morphnet.host.dns import Wish
from morphnet.host.host import ClientNetwork, Host, ServerNetwork
from morphnet.host.linux import LinuxKernel
from morphnet.host.uplinks import UplinkScan, UplinkWatch
from morphnet.host.watch import LONGEST_WAIT, HostWatch
from tests.lab.host_machine import RESOLV, Seen, add_uplink, machine

CLIENT = ClientNetwork("morph0", "10.73.0.2/24", "fd73::2/64", 1400, ("default", "10.99.0.0/16"), Wish(("10.73.0.1",)))
GATEWAY = ServerNetwork("morph0", "10.73.0.1/24", "fd73::1/64", 1400, "10.73.0.0/24", "fd73::/64")
PATIENCE = 10.0  # seconds
Act = Callable[[Any], object]


def client_and_rivals(place: Path) -> Seen:
    """A client that everybody takes something from, one after the other."""
    (place / "other.conf").write_text("nameserver 192.168.7.1\n")
    return _fought(
        place, _client, (_no_rules, _no_routes, _no_addresses, _down, _no_table, _one_rule, _dhcp, _appended)
    )


def gateway_and_rivals(place: Path) -> Seen:
    """A gateway likewise."""
    return _fought(place, lambda host: host.server_up(GATEWAY), (_no_table, _no_forwarding))


def _client(host: Host) -> None:
    host.client_up(CLIENT)
    host.set_uplinks(UplinkScan(excluded=("morph0",))())
    host.name_peers({"bert": ["10.73.0.3"]})


class _Fight:
    """
    What a watch says after each act, and whether all is as it was.

    Where nothing is told, within PATIENCE, the regular look has not come either: it is not told by the kernel.
    """

    def __init__(self, reactor: Any, host: Host, acts: tuple[Act, ...]) -> None:
        self.reactor, self.host, self.left, self.seen = reactor, host, list(acts), Seen(back={}, still={})
        self.ip, self.watch = IPRoute(), HostWatch(reactor, host, lambda text: None)

    def begin(self) -> None:
        self.watch.start("morph0")
        self.reactor.callLater(1.0, self.act)  # what is heard of our own doing is over by then

    def act(self) -> None:
        if not self.left:
            self.reactor.stop()
            return
        chosen, before = self.left.pop(0), self.watch.warnings()
        chosen(self.ip)
        self.await_back(chosen.__name__.strip("_"), before, time.monotonic())

    def await_back(self, name: str, before: tuple[str, ...], since: float) -> None:
        if self.watch.warnings() == before and time.monotonic() - since < PATIENCE:
            self.reactor.callLater(0.02, self.await_back, name, before, since)
            return
        self.seen["back"][name] = time.monotonic() - since < PATIENCE
        self.seen["still"][name] = [each.change.label for each in self.host.mend()]
        self.reactor.callLater(0.05, self.act)


def _fought(place: Path, up: Callable[[Host], None], acts: tuple[Act, ...]) -> Seen:
    from twisted.internet import epollreactor

    epollreactor.install()
    from twisted.internet import reactor as installed

    reactor: Any = installed
    ip, _ = machine()
    add_uplink(ip, "lte", "6")
    host = Host(place / "journal")
    up(host)
    untouched = [each.change.label for each in host.mend()]
    fight = _Fight(reactor, host, acts)
    reactor.callWhenRunning(fight.begin)
    reactor.run()
    fight.watch.stop()
    host.down()
    return fight.seen | {"untouched": untouched, "resolv": Path(RESOLV).read_text()}


def nobody_fights(place: Path) -> Seen:
    """A client whose uplinks come and go, as they do: who is said to fight with us, and what does not stand."""
    from twisted.internet import epollreactor

    epollreactor.install()
    from twisted.internet import reactor as installed

    reactor: Any = installed
    ip, _ = machine()
    add_uplink(ip, "lte", "6")
    host = Host(place / "journal")
    host.client_up(CLIENT)
    uplinks = UplinkWatch(reactor, host.set_uplinks, UplinkScan(excluded=("morph0",)))
    rivals = HostWatch(reactor, host, lambda text: None)
    acts = _life_of_an_uplink(ip)
    for number, act in enumerate(acts):
        reactor.callLater(1.0 + number * LONGEST_WAIT, act)
    reactor.callLater(1.0 + (len(acts) + 1) * LONGEST_WAIT, reactor.stop)
    reactor.callWhenRunning(uplinks.start)
    reactor.callWhenRunning(rivals.start, "morph0")
    reactor.run()
    uplinks.stop()
    rivals.stop()
    seen = {"warnings": rivals.warnings(), "still": [each.change.label for each in host.mend()]}
    host.down()
    return seen


def _life_of_an_uplink(ip: Any) -> list[Callable[[], object]]:
    """Its carrier goes and comes, it is switched off, gets a lease anew, loses it, gets another, and is unplugged."""
    wan, peer = (ip.link_lookup(ifname=name)[0] for name in ("wan", "wanp"))

    def lease(net: str) -> None:
        ip.link("set", index=wan, state="up")
        ip.flush_addr(index=wan)
        ip.addr("add", index=wan, address=f"192.168.{net}.2", prefixlen=24)
        ip.addr("add", index=wan, address=f"2001:db8:{net}::2", prefixlen=64, flags=2)
        ip.route("replace", dst="0.0.0.0/0", gateway=f"192.168.{net}.1", oif=wan, priority=100)
        ip.route("replace", dst="::/0", gateway="fe80::1", oif=wan, priority=100, family=socket.AF_INET6)

    return [
        lambda: ip.link("set", index=peer, state="down"),
        lambda: ip.link("set", index=peer, state="up"),
        lambda: ip.link("set", index=wan, state="down"),
        lambda: lease("5"),
        lambda: lease("5"),
        lambda: ip.flush_addr(index=wan),
        lambda: lease("7"),
        lambda: ip.link("del", index=wan),
    ]


def _no_rules(ip: Any) -> None:
    for rule in list(ip.get_rules()):
        if rule.get_attr("FRA_PROTOCOL") == 73:
            ip.rule("del", family=rule["family"], priority=rule.get_attr("FRA_PRIORITY"))


def _no_routes(ip: Any) -> None:
    for family in (socket.AF_INET, socket.AF_INET6):
        for table in (7300, 7301, 7302):
            ip.flush_routes(family=family, table=table)


def _no_addresses(ip: Any) -> None:
    ip.flush_addr(index=ip.link_lookup(ifname="morph0")[0])


def _down(ip: Any) -> None:
    ip.link("set", index=ip.link_lookup(ifname="morph0")[0], state="down", mtu=1280)


def _nft(*words: str) -> None:
    subprocess.run(["nft", *words], check=True, env={"PATH": os.defpath + ":/usr/sbin:/sbin"})


def _no_table(ip: Any) -> None:
    _nft("flush", "ruleset")


def _one_rule(ip: Any) -> None:
    _nft("flush", "chain", "inet", "morphnet_morph0", "clamp")


def _no_forwarding(ip: Any) -> None:
    for name in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
        LinuxKernel().set_sysctl(name, "0")


def _dhcp(ip: Any) -> None:
    """As a DHCP client does, into a file that is mounted there."""
    Path(RESOLV).write_text("search hotel.example\nnameserver 192.168.7.1\n")


def _appended(ip: Any) -> None:
    with Path(RESOLV).open("a") as file:
        file.write("nameserver 192.168.8.1\n")


def replaced_files(place: Path) -> Seen:
    """Every manner in which a file is given another content, and whether it is heard."""
    from morphnet.host.events import FileEar

    heard = [0]

    def hear() -> None:
        heard[0] += 1

    ear, seen = FileEar(hear), Seen()
    ear.open()
    path, other, link, second = (place / name for name in ("resolv.conf", "other", "link", "second"))
    for file in (path, other):
        file.write_text("nameserver 1.1.1.1\n")
    link.symlink_to("target")
    second.symlink_to("resolv.conf")
    (place / "target").write_text("nameserver 2.2.2.2\n")

    def done(name: str, act: Callable[[], object]) -> None:
        ear.watch({str(path), str(link)})
        ear.doRead()
        heard[0] = 0
        act()
        ear.doRead()
        seen[name] = heard[0] > 0

    done("written", lambda: path.write_text("nameserver 3.3.3.3\n"))
    done("renamed over", lambda: os.rename(other, path))
    done("written after that", lambda: path.write_text("nameserver 4.4.4.4\n"))
    done("removed", path.unlink)
    done("made again", lambda: path.write_text("nameserver 5.5.5.5\n"))
    done("target written", lambda: (place / "target").write_text("nameserver 6.6.6.6\n"))
    done("link replaced", lambda: os.rename(second, link))
    done("a neighbour", lambda: other.write_text("nothing"))
    ear.close()
    return seen
