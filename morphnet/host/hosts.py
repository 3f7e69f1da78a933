"""
Names of peers in /etc/hosts, in a block between two lines of ours; everything around it stays as it is.

    # morphnet begin
    10.73.0.3 bert
    fd73::3 bert
    10.73.0.3 bert.morph
    fd73::3 bert.morph
    # morphnet end

There is no lock for that file that others would know: who writes it in the very moment between our reading and our
writing has to write again. All that was edited before or after is kept.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from morphnet.errors import HostError
from morphnet.host.journal import Change
from morphnet.host.kernel import FileState, Kernel
from morphnet.host.look import Look
from morphnet.text import DOMAIN, is_machine, is_number, is_occupied

HOSTS = "/etc/hosts"
BEGIN, END = "# morphnet begin", "# morphnet end"
MOST_NAMES, MOST_ADDRESSES = 256, 4  # of peers; of one of them
_LINE = r"[0-9a-f.:]+ [A-Za-z0-9._-]+"  # one of ours, and likely of nobody else

# Whole, or without its end (somebody cut it off, or the disk was full): then what looks like our lines, and no more.
_BLOCK = re.compile(
    rf"^{BEGIN}[ \t\r]*(?:\n|\Z)"
    rf"(?:(?:(?!{BEGIN}).*\n)*?{END}[ \t\r]*(?:\n|\Z)|(?:{_LINE}[ \t\r]*(?:\n|\Z))*)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class HostsBlock:
    """
    Our block in the file of names. A symbolic link is left alone: what it leads to is kept by somebody else.

    `before` is what the file was: "none", "open" when its last line had no end (it gets one), else "".
    """

    kind: ClassVar[str] = "hosts"
    lasting: ClassVar[bool] = True
    lines: tuple[str, ...]  # "10.73.0.3 bert"; those whose name the file has outside of the block are passed over
    path: str = HOSTS
    before: str | None = field(default=None, compare=False)

    @property
    def place(self) -> Hashable:
        return self.path

    def prepared(self, kernel: Kernel) -> Self:
        was = self._read(kernel)
        rest = with_block(was.content, ())
        return replace(self, before="none" if was.kind == "none" else "open" if _is_open(rest) else "")

    def apply(self, kernel: Kernel) -> None:
        self._put(kernel, self._read(kernel), self.lines)

    def undo(self, kernel: Kernel) -> None:
        was = kernel.file(self.path)
        if was.kind == "file" and BEGIN in was.content:
            self._put(kernel, was, ())

    def stands(self, look: Look) -> bool:
        now = look.file(self.path)
        if now.kind != "file":
            return False
        # With another block in its place a second client of this machine has written last: no reason to fight.
        another = END in now.content and _parts(now.content)[2]
        return another or with_block(now.content, self.lines) == now.content

    @property
    def label(self) -> str:
        return f"the names of peers in {self.path}"

    def _read(self, kernel: Kernel) -> FileState:
        was = kernel.file(self.path)
        if was.kind == "link":
            raise HostError(f"{self.path} is a symbolic link: names of peers are not written there")
        return was

    def _put(self, kernel: Kernel, was: FileState, lines: Sequence[str]) -> None:
        text = with_block(was.content, lines, opened=self.before == "open")
        if text == was.content:
            return
        if not text and self.before == "none":
            kernel.set_file(self.path, FileState("none"))
        else:
            kernel.set_file(self.path, FileState("file", text, was.mode))


def with_block(text: str, lines: Sequence[str], *, opened: bool = False) -> str:
    """
    The text of a file of names with these lines in our block, or without a block if there are none.

    :param opened: the last line had no end before we came.
    """
    head, tail, ours = _parts(text)
    if ours and opened and not tail:
        head = head.removesuffix("\n")
    if lines:
        taken = _names_among(head + tail, {_name(line) for line in lines})
        lines = [line for line in lines if _name(line) not in taken]
    if not lines:
        return head + tail
    if _is_open(head):
        head += "\n"
    return head + "".join(f"{line}\n" for line in (BEGIN, *lines, END)) + tail


def _parts(text: str) -> tuple[str, str, bool]:
    """What is before our block, what is behind it, and whether there is one; further ones are taken out as well."""
    start = text.find(BEGIN)
    if start < 0:
        return text, "", False
    found = _BLOCK.search(text, text.rfind("\n", 0, start) + 1)
    if found is None:
        return text, "", False
    return text[: found.start()], _BLOCK.sub("", text[found.end() :]), True


def _is_open(text: str) -> bool:
    return bool(text) and not text.endswith("\n")


def _name(line: str) -> str:
    return line.partition(" ")[2].lower()


def _names_among(text: str, wanted: Iterable[str]) -> set[str]:
    """Those names, in small letters, that the text has an address for. It may be a list of 200,000 blocked hosts."""
    small = text.lower()
    likely = {name for name in wanted if name in small}
    if not likely:
        return set()
    return likely & {word for line in small.split("\n") for word in line.partition("#")[0].split()[1:]}


def hosts_changes(names: Mapping[str, Sequence[str]], taken: Collection[str] = ()) -> list[Change]:
    """
    What lets this machine know its peers by name; nothing for no names.

    They come from certificates: what could be more than a name, or than an address, is left out. So is every name with
    a dot. A peer that is called like a site of the world, whoever let it in, would otherwise be that site for every
    program here; a name of one label is only ever meant for what is near.

    :param names: inner addresses by name; of more than MOST_NAMES, the first in the alphabet.
    :param taken: names that this machine has for other machines, or for itself.
    """
    ours, lines = {each.lower() for each in taken}, list[str]()
    good = (each for each in sorted(names) if _is_good(each) and each not in ours)
    for name in [*good][:MOST_NAMES]:
        addresses = _addresses(names[name])[:MOST_ADDRESSES]
        lines += [f"{address} {each}" for each in (name, f"{name}.{DOMAIN}") for address in addresses]
    return [HostsBlock(tuple(lines))] if lines else []


def _is_good(name: str) -> bool:
    """Whether it is one label that names a machine, is no address, and means nothing already on every machine."""
    return is_machine(name) and "." not in name and not is_number(name) and not is_occupied(name)


def _addresses(texts: Iterable[str]) -> list[str]:
    found = []
    for text in texts:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        found.append(str(ipaddress.ip_address(address.packed)))  # a zone could be any text
    return found
