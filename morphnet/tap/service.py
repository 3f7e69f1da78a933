"""What both roles' services share: one clear sentence when they cannot start, and the doors of `ops`."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from morphnet.config.roles import ClientConfig, RelayConfig, ServerConfig
from morphnet.errors import HostError, MorphnetError
from morphnet.host.firewall import Firewall
from morphnet.host.host import Host
from morphnet.host.watch import HostWatch
from morphnet.net.gate import WAITING, Gate
from morphnet.ops import node as ops
from morphnet.ops.feed import FeedService
from morphnet.ops.manhole import ManholeService
from morphnet.ops.places import FEED
from morphnet.roles.process.clock import live_by
from morphnet.roles.process.node import Node

reactor: Any = _reactor  # it provides more interfaces than a type can say

FILES = 1 << 16  # open files that we want to be allowed, most of them sockets of callers
KEPT = 64 << 20  # bytes that were freed and need not go back to the kernel
JOURNAL = "host-journal"  # in state_dir: what must be undone on this host


class StartFailed(Exception):
    """What is wrong was said already."""


class RoleService(MultiService):
    """
    Opens everything at start and closes it at stop.

    `open` and `close` are the roles'; `makeService` runs before twistd forks, so nothing is opened earlier.
    """

    _log = Logger()
    journal = JOURNAL  # a relay has one of its own, beside the server's
    gate: Gate  # whom all who call us have to pass; there is one from the start on
    gateway = False  # whether connections of others pass through this machine's NAT

    def __init__(self, config: ServerConfig | ClientConfig | RelayConfig) -> None:
        super().__init__()
        self._settings = config
        self._loops: list[LoopingCall] = []
        self._host_watch: HostWatch | None = None
        self.host = Host(config.state_dir / self.journal)
        self.files = FILES  # that we may have open
        self._made_by = os.getpid()
        self._terminal = os.dup(2)  # until we have started: twistd takes it from us when it goes to the background

    def open(self) -> ops.Node:
        """
        Open the role's doors.

        :raises MorphnetError: the machine or the configuration does not allow it.
        """
        raise NotImplementedError

    def take_leave(self) -> None:
        """Let the peers know what has come, as the last thing before the doors are closed."""

    async def close(self) -> None:
        """Close them."""
        raise NotImplementedError

    def startService(self) -> None:
        """Start, or end the process with one sentence."""
        _heed_signals()
        live_by(reactor)  # before anything has been told when
        self.files = _allow_files()
        self.gate = Gate(reactor, min(WAITING, self.files // 8))
        _settle_memory()
        try:
            for directory in (self._settings.state_dir, self._settings.run_dir):
                _make_private(directory)
            self.host.recover(gateway=self.gateway)
            node = self.open()
            self._open_ops(node)
            super().startService()
        except MorphnetError as problem:
            self._leave_host()
            self._give_up(f"morphnet: {problem}\n")
        except OSError as problem:  # a full disk, a file that is not what it should be: as the command tells it
            self._leave_host()
            where = f"{problem.filename}: " if problem.filename else ""
            self._give_up(f"morphnet: {where}{problem.strerror or problem}\n")
        except BaseException:  # a Ctrl-C among them: the host is as it was, whatever ended us
            self._leave_host()
            raise
        finally:
            os.close(self._terminal)

    def _give_up(self, sentence: str) -> None:
        os.write(self._terminal, sentence.encode())
        if os.getpid() == self._made_by:
            raise SystemExit(1)
        # In the background: twistd's parent waits for an Exception and for nothing else; the log gets the sentence.
        sys.stderr.write(sentence)
        sys.excepthook = lambda *_: None
        raise StartFailed("not started")

    def _open_ops(self, node: ops.Node) -> None:
        settings = self._settings
        FeedService(reactor, settings.run_dir / FEED, node).setServiceParent(self)
        if settings.manhole.enabled:
            ManholeService(reactor, settings.manhole, settings.run_dir, settings.state_dir, node).setServiceParent(self)

    def watch_host(self, node: Node, tun: str, pools: Sequence[str] = ()) -> None:
        """
        Set again what somebody else takes from this host, until the service stops.

        :param tun: our device.
        :param pools: what this host forwards packets for: whether its firewall lets them through is looked at as well.
        """
        firewall = Firewall(partial(self.host.obstacles, tun, pools), partial(node.tell, "firewall", ""))
        look = firewall.look if pools else lambda: None
        watch = self._host_watch = HostWatch(reactor, self.host, partial(node.tell, "host-rival", ""), look)
        node.host_warnings = lambda: (*filter(None, (firewall.warning,)), *watch.warnings())
        watch.start(tun)

    def every(self, seconds: float, what: Callable[[], object], *, now: bool = False) -> None:
        """Do `what` at that interval until the service stops; with `now` also at once."""
        loop = LoopingCall(what)
        loop.clock = reactor
        loop.start(seconds, now=now).addErrback(lambda failure: self._log.failure("housekeeping stopped", failure))
        self._loops.append(loop)

    def stopService(self) -> Deferred[None]:
        """Close the doors and put the host back as it was."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for loop in self._loops:
            if loop.running:
                loop.stop()
        stopped = super().stopService()
        if stopped is not None:
            await stopped
        self.take_leave()  # while what is delivered still finds its way
        self._leave_host()  # while the TUN is still there
        await self.close()

    def _leave_host(self) -> None:
        if self._host_watch is not None:
            self._host_watch.stop()  # or it would set again what is undone now
        self.host.down()


def _heed_signals() -> None:
    """
    Stop in order when the terminal is closed (SIGHUP), and when told to (SIGTERM) before the reactor runs, which heeds
    that from then on. Who started us with SIGHUP ignored (nohup) wants us to go on.
    """

    def stop(number: int, frame: object) -> None:
        reactor.callFromThread(_stop)

    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, stop)


def _stop() -> None:
    with suppress(ReactorNotRunning):  # it stops already
        reactor.stop()


def _allow_files() -> int:
    """
    Lift our limit of open files as far as we may: a shell gives 1024, which callers alone could use up.

    :returns: how many there may be.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _settle_memory() -> None:
    """
    Give back what loading left over, then have the C library keep what is freed for the next time.

    Super packets of 64 KB come and go: with glibc's defaults each costs 16 page faults, 15 microseconds, a third of all
    that receiving it takes. Source: mallopt(3), malloc_trim(3); other C libraries have no such calls, or need none.
    """
    gc.collect()
    gc.freeze()  # what is there now stays: no later collection looks at it again
    trim_threshold, mmap_threshold = -1, -3
    try:
        library = ctypes.CDLL(None)
        mallopt, malloc_trim = library.mallopt, library.malloc_trim
    except (OSError, AttributeError):
        return
    malloc_trim(0)
    mallopt(trim_threshold, KEPT)
    mallopt(mmap_threshold, KEPT // 2)


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise HostError(f"cannot make {directory}: {os.strerror(problem.errno or 0)}") from None
