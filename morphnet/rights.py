"""
Root works in a directory of somebody else with that owner's rights, and no more.

The service's user owns what it writes: state, sockets, keys. It may have put a symbolic link, a pipe or a directory in
the place of any file there. Instead of looking for each of these, root's commands become that user for as long as they
work there: then whatever they follow or make, it is what that user could have done itself, and every file that they
make is one that the service can use.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from morphnet.errors import ConfigError, HostError

_LINKS = 40  # symbolic links on one way, as the kernel counts them
_ROOT = 0


@contextmanager
def rights_of(directory: Path, *, only_new: bool = False) -> Iterator[None]:
    """
    Within it, root has the rights of the user who decides what is in `directory`; for everybody else nothing changes.

    That is the owner of the first thing on the way from / that is not root's: who owns it can put anything behind it.
    What does not exist yet is as good as what it will be made in. The whole process changes: for commands, not for
    servers. Import before it what is used within it: that user may not read where we are installed.

    :param only_new: nothing that is there is opened, and what is made is made in one step: then a directory like /tmp
        will do, where everybody may make files and nobody replace another's.
    :raises ConfigError: it is root's, but others may write it: nobody knows whose files these are.
    :raises HostError: it cannot be looked at, that user may not enter it, or this machine lets us become nobody else.
    """
    owner = _owner(directory, only_new) if os.geteuid() == _ROOT else None
    if owner is None:
        yield
        return
    uid, gid = owner
    before, there = (os.getgroups(), os.getegid()), os.path.lexists(directory)
    try:
        _become(uid, gid, [gid])
    except OSError as trouble:
        _return(*before)
        why = trouble.strerror or str(trouble)
        raise HostError(f"{directory} belongs to the user {_called(uid)}, and root cannot act as one: {why}") from None
    try:
        if there and not os.access(directory, os.X_OK, effective_ids=True):
            raise HostError(_CLOSED.format(path=directory, user=_called(uid)))
        yield
    finally:
        _return(*before)


def _become(uid: int, gid: int, groups: list[int]) -> None:
    os.setgroups(groups)
    os.setegid(gid)
    os.seteuid(uid)  # last: it takes the right to the others with it


def _return(groups: list[int], gid: int) -> None:
    os.seteuid(_ROOT)
    os.setegid(gid)
    if os.getgroups() != groups:
        os.setgroups(groups)


def _owner(directory: Path, only_new: bool) -> tuple[int, int] | None:
    """Who decides what is in `directory`: user and group, or None when that is root alone."""
    # In a user namespace the machine's own root has no number; it owns "/" there, too.
    ours = {_ROOT, os.stat("/").st_uid}
    todo, here, links = list((Path.cwd() / directory).parts[1:]), Path("/"), 0
    while todo:
        name = todo.pop(0)
        if name == "..":
            here = here.parent
            continue
        step = here / name
        try:
            about = step.lstat()
        except (FileNotFoundError, NotADirectoryError):
            break  # it will be made by whoever may write in `here`
        except OSError as trouble:
            raise HostError(f"cannot look at {step}: {trouble.strerror}") from None
        if about.st_uid not in ours:
            return about.st_uid, _group(about)
        if stat.S_ISLNK(about.st_mode):  # root's own: it is where root wants us to go
            links += 1
            if links > _LINKS:
                raise HostError(f"{directory}: too many symbolic links")
            way = here / os.readlink(step)
            todo, here = [*way.parts[1:], *todo], Path("/")
            continue
        # On the way others may write where they cannot replace what is root's (the sticky bit); at its end nowhere.
        if _open_to_others(about) and not ((todo or only_new) and about.st_mode & stat.S_ISVTX):
            raise ConfigError(_OPEN.format(path=step))
        here = step
    return None


_CLOSED = "{path} is in a place of the user {user}, who may not enter it: chown -R {user} {path}, or move it"
_OPEN = "{path} belongs to root, but others may write it: chmod go-w {path}, or chown it to the service's user"


def _open_to_others(about: os.stat_result) -> bool:
    by_group = about.st_mode & stat.S_IWGRP and about.st_gid != _ROOT
    return stat.S_ISDIR(about.st_mode) and bool(by_group or about.st_mode & stat.S_IWOTH)


def _group(about: os.stat_result) -> int:
    """The group that files of the owner of this belong to."""
    try:
        return pwd.getpwuid(about.st_uid).pw_gid
    except KeyError:  # no name here: a container's user
        return about.st_gid


def _called(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
