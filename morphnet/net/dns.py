"""
The DNS servers that the server names, made the machine's own: by systemd-resolved, by resolvconf, or in resolv.conf.

With systemd-resolved and resolvconf the settings hang on the TUN; a resolv.conf of our own is replaced in one step and
put back at the end, unless somebody has changed it since.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from morphnet.net.journal import Change
from morphnet.net.kernel import FileState, Kernel, Missing

RESOLV_CONF = "/etc/resolv.conf"
RESOLVED_UPSTREAM = "/run/systemd/resolve/resolv.conf"  # there while systemd-resolved runs; names the real servers
_SIGN = "# made by morphnet; the file that was here comes back when morphnet stops\n"


@dataclass(frozen=True, slots=True)
class Resolved:
    """All names are asked through the TUN, by systemd-resolved."""

    kind: ClassVar[str] = "resolved"
    lasting: ClassVar[bool] = False
    device: str
    servers: tuple[str, ...]

    @property
    def place(self) -> Hashable:
        return self.device

    def prepared(self, kernel: Kernel) -> Self:
        return self

    def apply(self, kernel: Kernel) -> None:
        kernel.run(["resolvectl", "dns", self.device, *self.servers])
        kernel.run(["resolvectl", "domain", self.device, "~."])

    def undo(self, kernel: Kernel) -> None:
        kernel.link(self.device)  # Missing: resolved has forgotten it together with the device
        kernel.run(["resolvectl", "revert", self.device])


@dataclass(frozen=True, slots=True)
class Resolvconf:
    """A record of resolvconf, the only one that counts (-x) and before all others (-m 0)."""

    kind: ClassVar[str] = "resolvconf"
    lasting: ClassVar[bool] = True  # some keep their records on disk
    device: str
    servers: tuple[str, ...]

    @property
    def place(self) -> Hashable:
        return self.device

    def prepared(self, kernel: Kernel) -> Self:
        return self

    def apply(self, kernel: Kernel) -> None:
        # "tun." puts it in front with Debian's resolvconf, which goes by names and passes over -m and -x.
        kernel.run(["resolvconf", "-a", f"tun.{self.device}", "-m", "0", "-x"], resolv_lines(self.servers))

    def undo(self, kernel: Kernel) -> None:
        kernel.run(["resolvconf", "-d", f"tun.{self.device}", "-f"])


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """/etc/resolv.conf itself."""

    kind: ClassVar[str] = "resolv-conf"
    lasting: ClassVar[bool] = True
    servers: tuple[str, ...]
    path: str = RESOLV_CONF
    before: tuple[str, str, int] | None = field(default=None, compare=False)  # the fields of FileState

    @property
    def ours(self) -> str:
        """The text that we put there."""
        return _SIGN + resolv_lines(self.servers)

    @property
    def place(self) -> Hashable:
        return self.path

    def prepared(self, kernel: Kernel) -> Self:
        was = kernel.file(self.path)
        return replace(self, before=(was.kind, was.content, was.mode))

    def apply(self, kernel: Kernel) -> None:
        if kernel.file(self.path).content != self.ours:
            kernel.set_file(self.path, FileState("file", self.ours))

    def undo(self, kernel: Kernel) -> None:
        if self.before and kernel.file(self.path).content == self.ours:
            kernel.set_file(self.path, FileState(*self.before))


def resolv_lines(servers: Sequence[str]) -> str:
    """The servers in the manner of resolv.conf."""
    return "".join(f"nameserver {each}\n" for each in servers)


def nameservers(text: str) -> list[str]:
    """The addresses that a resolv.conf names; what is no address is passed over."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                ipaddress.ip_address(words[1])
            except ValueError:
                continue
            found.append(words[1])
    return found


def dns_changes(kernel: Kernel, tun: str, servers: Sequence[str]) -> list[Change]:
    """
    What makes `servers` the ones to ask, in the way that this machine understands; nothing for no servers.

    Words that are no addresses are left out: they come from the other side of the tunnel.
    """
    good = tuple(nameservers(resolv_lines(servers)))
    if not good:
        return []
    if kernel.has_tool("resolvectl") and kernel.file(RESOLVED_UPSTREAM).kind != "none":
        return [Resolved(tun, good)]
    if kernel.has_tool("resolvconf"):
        return [Resolvconf(tun, good)]
    return [ResolvConf(good)]


def taken_over(kernel: Kernel, standing: Sequence[Change]) -> bool:
    """Whether somebody (a DHCP client in a new network) has written a resolv.conf over ours."""
    return any(kernel.file(each.path).content != each.ours for each in standing if isinstance(each, ResolvConf))


def upstream_servers(kernel: Kernel, standing: Sequence[Change]) -> list[str]:
    """
    The DNS servers that the machine had without us: whom to ask for the server's name while the tunnel is down.

    :param standing: the changes that stand now.
    """
    for change in standing:
        if isinstance(change, ResolvConf) and change.before and not taken_over(kernel, [change]):
            kind, content, _ = change.before
            return nameservers(content if kind == "file" else _linked(kernel, change.path, content))
    ours = {each for change in standing if isinstance(change, Resolved | Resolvconf) for each in change.servers}
    for path in (RESOLVED_UPSTREAM, RESOLV_CONF):
        state = kernel.file(path)
        text = _linked(kernel, path, state.content) if state.kind == "link" else state.content
        if found := [each for each in nameservers(text) if each not in ours]:
            return found
    return []


def _linked(kernel: Kernel, path: str, target: str) -> str:
    """The text behind a symbolic link, one step deep."""
    whole = target if target.startswith("/") else f"{path.rsplit('/', 1)[0]}/{target}"
    try:
        state = kernel.file(whole)
    except Missing:
        return ""
    return state.content if state.kind == "file" else ""
