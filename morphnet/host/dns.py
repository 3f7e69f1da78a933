"""
The DNS servers that the server names, made the machine's own: by systemd-resolved, by resolvconf, or in resolv.conf.

They are asked for every name, or for those of some domains alone. The latter systemd-resolved can do; resolv.conf knows
no domains: there a small server on this machine (a stub) is asked for all, which knows whom to ask for what.

With systemd-resolved and resolvconf the settings hang on the TUN; a resolv.conf of our own is replaced in one step and
put back at the end, unless somebody has changed it since.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol, Self

from morphnet.host.journal import Change
from morphnet.host.kernel import FileState, Kernel, Missing
from morphnet.host.look import Look
from morphnet.host.plain import Plain
from morphnet.text import DOMAIN, is_dns_name

RESOLV_CONF = "/etc/resolv.conf"
RESOLVED_UPSTREAM = "/run/systemd/resolve/resolv.conf"  # there while systemd-resolved runs; names the real servers
_RECORDS = ("/run/resolvconf/interface", "/run/resolvconf/interfaces", "/etc/resolvconf/run/interface")
_SIGN = "# made by morphnet; the file that was here comes back when morphnet stops\n"
_BENEATH = "# which asks for all other names at "


def is_made_by_us(content: str) -> bool:
    """Whether a resolv.conf begins as those that we make do."""
    return content.startswith(_SIGN)


def asked_beneath(content: str) -> list[str]:
    """The servers that our own server on this machine asks for names of the world, by a resolv.conf that we made."""
    if not is_made_by_us(content):
        return []
    lines = [line.removeprefix(_BENEATH) for line in content.splitlines() if line.startswith(_BENEATH)]
    return nameservers(resolv_lines(word for line in lines for word in line.split()))


class Files(Protocol):
    """Whoever can tell what is at a path: the kernel, or a look at it."""

    def file(self, path: str) -> FileState:
        """What is at `path`."""
        ...


@dataclass(frozen=True, slots=True)
class Resolved(Plain):
    """All names, or those of some domains, are asked through the TUN, by systemd-resolved."""

    kind: ClassVar[str] = "resolved"
    device: str
    servers: tuple[str, ...]
    domains: tuple[str, ...] = ("~.",)  # in resolvectl's manner: with "~" names are not completed by it

    @property
    def place(self) -> Hashable:
        return self.device

    def apply(self, kernel: Kernel) -> None:
        kernel.run(["resolvectl", "dns", self.device, *self.servers])
        kernel.run(["resolvectl", "domain", self.device, *self.domains])
        if "~." not in self.domains:
            kernel.run(["resolvectl", "default-route", self.device, "no"])

    def undo(self, kernel: Kernel) -> None:
        kernel.link(self.device)  # Missing: resolved has forgotten it together with the device
        kernel.run(["resolvectl", "revert", self.device])

    def stands(self, look: Look) -> bool:
        now = look.file(RESOLVED_UPSTREAM)
        return now.kind == "none" or set(self.servers) <= set(nameservers(now.content))

    @property
    def label(self) -> str:
        return f"the DNS servers of {self.device} in systemd-resolved"


@dataclass(frozen=True, slots=True)
class Resolvconf(Plain):
    """A record of resolvconf, the only one that counts (-x) and before all others (-m 0)."""

    kind: ClassVar[str] = "resolvconf"
    lasting: ClassVar[bool] = True  # some keep their records on disk
    device: str
    servers: tuple[str, ...]
    search: bool = False  # names are completed by the network's domain

    @property
    def place(self) -> Hashable:
        return self.device

    def apply(self, kernel: Kernel) -> None:
        text = (f"search {DOMAIN}\n" if self.search else "") + resolv_lines(self.servers)
        # "tun." puts it in front with Debian's resolvconf, which goes by names and passes over -m and -x.
        kernel.run(["resolvconf", "-a", f"tun.{self.device}", "-m", "0", "-x"], text)

    def undo(self, kernel: Kernel) -> None:
        kernel.run(["resolvconf", "-d", f"tun.{self.device}", "-f"])

    def stands(self, look: Look) -> bool:
        if set(self.servers) <= set(nameservers(_text(look, RESOLV_CONF))):
            return True
        records = [f"{place}/tun.{self.device}" for place in _RECORDS]  # a resolver of its own may stand in the file
        return any(look.file(record).kind == "file" for record in records)

    @property
    def label(self) -> str:
        return f"the DNS servers of {self.device} in resolvconf"


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """
    /etc/resolv.conf itself: the servers in it are ours, every other line is that of the file that was there.

    Where that was a symbolic link, the lines are those behind it now: whoever keeps that file goes on doing so.
    """

    kind: ClassVar[str] = "resolv-conf"
    lasting: ClassVar[bool] = True
    servers: tuple[str, ...]
    path: str = RESOLV_CONF
    before: tuple[str, str, int] | None = field(default=None, compare=False)  # the fields of FileState
    search: bool = False  # names are completed by the network's domain, before all others

    @property
    def place(self) -> Hashable:
        return self.path

    def prepared(self, kernel: Kernel) -> Self:
        if self.target() and self.is_ours(kernel):
            return self  # it is what the link leads to that has changed
        was = kernel.file(self.path)
        if _SIGN in was.content:  # ours, or somebody wrote into it
            beneath = asked_beneath(was.content)
            was = replace(was, content=_without_marks(was.content.replace(_SIGN, "")))
            if self.before is None and beneath:  # another client's, or of a run that left no journal
                kept = (line for line in was.content.splitlines() if not _is_server(line))
                was = replace(was, content="".join(f"{line}\n" for line in kept) + resolv_lines(beneath))
        if self.before is not None and was.kind == "file":
            was = replace(was, content=self._without_ours(was.content, self._text_before(kernel)))
        return replace(self, before=(was.kind, was.content, was.mode))

    def apply(self, kernel: Kernel) -> None:
        text = self.text(kernel)
        if kernel.file(self.path).content != text:
            kernel.set_file(self.path, FileState("file", text))

    def undo(self, kernel: Kernel) -> None:
        if self.before and self.is_ours(kernel):
            kernel.set_file(self.path, FileState(*self.before))

    def stands(self, look: Look) -> bool:
        now = look.file(self.path)
        return now.kind == "file" and now.content == self.text(look)

    @property
    def label(self) -> str:
        return self.path

    def text(self, files: Files) -> str:
        """What the file shall be."""
        rest = [line for line in self._text_before(files).splitlines() if not _is_server(line)]
        if self.search:
            searched = [line.split()[1:] for line in rest if _is_search(line)]  # the last of such lines counts
            rest = [line for line in rest if not _is_search(line)]
            rest.append(" ".join(["search", DOMAIN, *(searched[-1] if searched else ())]))
        text = _SIGN + "".join(f"{line}\n" for line in rest) + resolv_lines(self.servers)
        beneath = nameservers(self._text_before(files)) if all(map(_is_here, self.servers)) else ()
        return text + (f"{_BENEATH}{' '.join(beneath)}\n" if beneath else "")

    def is_ours(self, files: Files) -> bool:
        """Whether the file is as we made it: our sign, and no servers but ours."""
        now = files.file(self.path)
        return now.kind == "file" and is_made_by_us(now.content) and nameservers(now.content) == list(self.servers)

    def target(self) -> str:
        """Where the symbolic link that was there leads; "" if there was none."""
        kind, content, _ = self.before or ("none", "", 0)
        return _target(self.path, content) if kind == "link" else ""

    def _text_before(self, files: Files) -> str:
        kind, content, _ = self.before or ("none", "", 0)
        return content if kind == "file" else _linked(files, self.path, content) if kind == "link" else ""

    def _without_ours(self, text: str, earlier: str) -> str:
        """
        What somebody else wrote, without our servers, where he took them for the machine's own (a DHCP client does, if
        its lease names none): those of before come back then.
        """
        if not set(self.servers) <= set(nameservers(text)):
            return text
        kept = [line for line in _without_marks(text).splitlines() if not set(nameservers(line)) & set(self.servers)]
        if not nameservers("\n".join(kept)):
            kept += [line for line in earlier.splitlines() if _is_server(line)]
        return "".join(f"{line}\n" for line in kept)


def resolv_lines(servers: Iterable[str]) -> str:
    """The servers in the manner of resolv.conf."""
    return "".join(f"nameserver {each}\n" for each in servers)


def _is_server(line: str) -> bool:
    return line.split()[:1] == ["nameserver"]


def _is_here(server: str) -> bool:
    return ipaddress.ip_address(server).is_loopback


def _is_search(line: str) -> bool:
    return line.split()[:1] in (["search"], ["domain"])


def _without_marks(text: str) -> str:
    """A resolv.conf that was made from ours, without what we have written besides servers."""
    lines = []
    for line in text.splitlines():
        words = line.split()
        if words[:2] != ["search", DOMAIN]:
            lines += [] if line.startswith(_BENEATH) else [line]
        elif words[2:]:
            lines.append(" ".join(["search", *words[2:]]))
    return "".join(f"{line}\n" for line in lines)


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


@dataclass(frozen=True, slots=True)
class Wish:
    """Who shall be asked for names."""

    servers: tuple[str, ...] = ()  # nobody else than now, if there are none
    search: bool = False  # names are completed by the network's domain
    domains: tuple[str, ...] = ()  # only names under these are asked of them; none: every name
    stub: str = ""  # the address of our own server on this machine, which knows that; "": there is none


def manner(kernel: Kernel) -> str:
    """What names are asked by on this machine: "resolved", "resolvconf", or "file"."""
    if kernel.has_tool("resolvectl") and kernel.file(RESOLVED_UPSTREAM).kind != "none":
        return "resolved"
    return "resolvconf" if kernel.has_tool("resolvconf") else "file"


def dns_changes(kernel: Kernel, tun: str, wish: Wish) -> list[Change]:
    """
    What makes it so, in the way that this machine understands; nothing for no servers, or where it cannot be.

    Words that are no addresses, or no domains, are left out: they come from the other side of the tunnel.
    """
    good = tuple(nameservers(resolv_lines(wish.servers)))
    domains = tuple(each for each in wish.domains if is_dns_name(each.replace("_", "x")))
    if not good or domains != wish.domains:
        return []
    match manner(kernel):
        case "resolved":
            own = (DOMAIN,) if wish.search else ()
            routed = tuple(f"~{each}" for each in domains if each not in own)
            return [Resolved(tun, good, (*own, *(routed or ("~.",))))]
        case "resolvconf" if not domains:
            return [Resolvconf(tun, good, wish.search)]
        case "file" if not domains or wish.stub:
            return [ResolvConf((wish.stub,) if domains else good, search=wish.search)]
    return []


def files_of(changes: Sequence[Change]) -> set[str]:
    """The files that have a part in how names are asked, by what was changed."""
    paths = set[str]()
    for change in changes:
        match change:
            case ResolvConf():
                paths |= {change.path, change.target()} - {""}
            case Resolved():
                paths.add(RESOLVED_UPSTREAM)
            case Resolvconf():
                paths.add(RESOLV_CONF)
    return paths


def upstream_servers(kernel: Kernel, standing: Sequence[Change]) -> list[str]:
    """
    The DNS servers that the machine had without us: whom to ask for the server's name while the tunnel is down.

    :param standing: the changes that stand now.
    """
    for change in standing:
        if isinstance(change, ResolvConf) and change.before and change.is_ours(kernel):
            kind, content, _ = change.before
            return nameservers(content if kind == "file" else _linked(kernel, change.path, content))
    ours = {each for change in standing if isinstance(change, Resolved | Resolvconf) for each in change.servers}
    for path in (RESOLVED_UPSTREAM, RESOLV_CONF):
        if found := [each for each in nameservers(_text(kernel, path)) if each not in ours]:
            return found
    return []


def _text(files: Files, path: str) -> str:
    state = files.file(path)
    return _linked(files, path, state.content) if state.kind == "link" else state.content


def _linked(files: Files, path: str, target: str) -> str:
    """The text behind a symbolic link, one step deep."""
    try:
        state = files.file(_target(path, target))
    except Missing:
        return ""
    return state.content if state.kind == "file" else ""


def _target(path: str, target: str) -> str:
    return target if target.startswith("/") else f"{path.rsplit('/', 1)[0]}/{target}"
