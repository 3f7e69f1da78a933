"""A running process: what it opens at its start, and closes at its stop, whatever its role."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, TimeoutError
from twisted.logger import Logger

from morphnet.config.manhole import ManholeConfig
from morphnet.errors import ConfigError, HostError, MorphnetError
from morphnet.host.firewall import Firewall
from morphnet.host.host import Host
from morphnet.host.lock import Lock
from morphnet.host.watch import HostWatch
from morphnet.net.gate import WAITING, Gate
from morphnet.net.quickwait import shorten_wait
from morphnet.ops import node as ops
from morphnet.ops.feed import FeedService
from morphnet.ops.manhole import ManholeService
from morphnet.ops.rundir import FEED, JOURNAL
from morphnet.roles.process.chores import Chore
from morphnet.roles.process.clock import live_by
from morphnet.roles.process.reloading import Reloading
from morphnet.roles.process.resources import FILES, allow_files, come_first, settle_memory
from morphnet.roles.process.signals import heed_signals
from morphnet.roles.process.stopping import last_resort

DOORS = 0.5  # seconds for those of `ops` to close; putting the host back may take two more, see `host/linux`


class Settings(Protocol):
    """What every process needs of its configuration."""

    @property
    def state_dir(self) -> Path:
        """What outlives it."""
        ...

    @property
    def run_dir(self) -> Path:
        """Its sockets."""
        ...

    @property
    def manhole(self) -> ManholeConfig:
        """The SSH door."""
        ...


class Told(Protocol):
    """Who shows what somebody else does to this machine."""

    host_warnings: Callable[[], tuple[str, ...]]

    def tell(self, kind: str, session: str, text: str) -> None:
        """Add one line to the history."""
        ...


class StartFailed(Exception):
    """What is wrong was said already."""


class Process(MultiService):
    """
    Opens everything at start and closes it at stop.

    `open` and `close` are the roles'; `makeService` runs before twistd forks, so nothing is opened earlier.
    """

    _log = Logger()
    state = "process"  # of what there is one in a state_dir
    serves_many = False  # others wait while it waits for a processor
    live: frozenset[str] = frozenset()  # settings that apply while it runs
    gate: Gate  # whom all who call us have to pass; there is one from the start on

    def __init__(self, settings: Settings, reactor: Any, read: Callable[[], Settings] | None = None) -> None:
        """
        :param read: reads the settings again, for a process that is to look what has changed.
        """
        super().__init__()
        self.reactor = reactor
        self._settings = settings
        self.reloading: Reloading[Any] | None = Reloading(settings, read, self.live) if read is not None else None
        self._opened: ops.Node | None = None
        self._restored = False  # the host is as it was
        self._handed_over = False  # we end for the next of us, which starts at once
        self._chores: list[Chore] = []
        self._lock = Lock(settings.state_dir / self.state)
        self.files = FILES  # that we may have open
        self._made_by = os.getpid()
        self._terminal = os.dup(2)  # until we have started: twistd takes it from us when it goes to the background

    def open(self) -> ops.Node:
        """
        Open the role's doors.

        :raises MorphnetError: the machine or the configuration does not allow it.
        """
        raise NotImplementedError

    def take_over(self) -> None:
        """
        We are the only one of our kind here from now on.

        :raises HostError: there is another.
        """
        self._lock.hold()

    def let_go(self) -> None:
        """Another one may come, and comes at once if we are `_handed_over`."""
        self._lock.release()

    def take_leave(self) -> None:
        """Let the peers know what has come, as the last thing before the doors are closed."""

    async def close(self) -> None:
        """Close them."""
        raise NotImplementedError

    def startService(self) -> None:
        """Start, or end the process with one sentence; with a code of its own if the operator must change something."""
        heed_signals(self.reactor, self._reload, self._hand_over)
        live_by(self.reactor)  # before anything has been told when
        shorten_wait(self.reactor)
        self.files = allow_files()
        self.gate = Gate(self.reactor, min(WAITING, self.files // 8))
        settle_memory()
        if self.serves_many:
            come_first()
        try:
            for directory in (self._settings.state_dir, self._settings.run_dir):
                _make_private(directory)
            self.take_over()
            node = self._opened = self.open()
            self._open_ops(node)
            super().startService()
        except MorphnetError as problem:
            self.let_go()
            self._give_up(f"morphnet: {problem}\n", os.EX_CONFIG if isinstance(problem, ConfigError) else 1)
        except OSError as problem:  # a full disk, a file that is not what it should be: as the command tells it
            self.let_go()
            where = f"{problem.filename}: " if problem.filename else ""
            self._give_up(f"morphnet: {where}{problem.strerror or problem}\n", 1)
        except BaseException:  # a Ctrl-C among them: the host is as it was, whatever ended us
            self.let_go()
            raise
        finally:
            os.close(self._terminal)

    def _give_up(self, sentence: str, code: int) -> None:
        os.write(self._terminal, sentence.encode())
        if os.getpid() == self._made_by:
            raise SystemExit(code)
        # In the background: twistd's parent waits for an Exception and for nothing else; the log gets the sentence.
        sys.stderr.write(sentence)
        sys.excepthook = lambda *_: None
        raise StartFailed("not started")

    def _open_ops(self, node: ops.Node) -> None:
        settings = self._settings
        FeedService(self.reactor, settings.run_dir / FEED, node).setServiceParent(self)
        if settings.manhole.enabled:
            manhole = ManholeService(self.reactor, settings.manhole, settings.run_dir, settings.state_dir, node)
            manhole.setServiceParent(self)

    def _reload(self) -> None:
        """Somebody wants us to read again what may have changed on disk (SIGHUP)."""
        if self._opened is None:
            return  # it is read just now
        try:
            for verb in self._opened.verbs():
                if verb.name == "reload":
                    self._log.info("reload: {text}", text=verb.call())
        except MorphnetError as problem:
            self._log.error("not reloaded: {problem}", problem=str(problem))

    def _hand_over(self) -> None:
        self._handed_over = True

    def every(self, seconds: float, what: Callable[[], object], *, now: bool = False) -> None:
        """Do `what` at that interval until the service stops, also when it fails; with `now` also at once."""
        self._chores.append(Chore(self.reactor, seconds, what, now=now))

    def stopService(self) -> Deferred[None]:
        """Close the doors and put the host back as it was."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._log.info("stopping")
        end = partial(last_resort, lambda: self._restored, time.sleep, partial(os._exit, 0))
        Thread(target=end, name="last resort", daemon=True).start()
        for chore in self._chores:
            chore.stop()
        stopped = super().stopService()
        if stopped is not None:
            with suppress(TimeoutError):  # whoever holds a door open, the host is put back
                await stopped.addTimeout(DOORS, self.reactor)
        try:
            self.take_leave()  # while what is delivered still finds its way
            self.let_go()  # while the TUN is still there
        finally:
            self._restored = True  # or as far as it can be: the rest is in the journal, and nothing else may wait
            await self.close()
        self._log.info("stopped")


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise HostError(f"cannot make {directory}: {os.strerror(problem.errno or 0)}") from None


class HostProcess(Process):
    """One that changes the host: what it changes is in a journal, and undone when it stops, or at the next start."""

    state = JOURNAL
    gateway = False  # whether connections of others pass through this machine's NAT

    def __init__(self, settings: Settings, reactor: Any, read: Callable[[], Settings] | None = None) -> None:
        super().__init__(settings, reactor, read)
        self.host = self.make_host(settings.state_dir / self.state)
        self._host_watch: HostWatch | None = None

    def make_host(self, journal: Path) -> Host:
        """This machine."""
        return Host(journal)

    def take_over(self) -> None:
        """
        Undo what an earlier run left behind; the journal has a lock of its own.

        :raises HostError: another process has the journal.
        """
        self.host.recover(gateway=self.gateway)

    def let_go(self) -> None:
        """The host is as it was, but for what the next of us goes on with, if there is one."""
        if self._host_watch is not None:
            self._host_watch.stop()  # or it would set again what is undone now
        self.host.down(handed_over=self._handed_over)

    def watch_host(self, node: Told, tun: str = "", pools: Sequence[str] = ()) -> None:
        """
        Set again what somebody else takes from this host, until the service stops.

        :param tun: our device; "" for none.
        :param pools: what this host forwards packets for: whether its firewall lets them through is looked at as well.
        """
        firewall = Firewall(partial(self.host.obstacles, tun, pools), partial(node.tell, "firewall", ""))
        watch = self._host_watch = HostWatch(
            self.reactor, self.host, partial(node.tell, "host-rival", ""), firewall.look
        )
        node.host_warnings = lambda: (*filter(None, (firewall.warning,)), *watch.warnings())
        watch.start(tun)
