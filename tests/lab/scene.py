"""
Scenes: real processes in a box, made once for the tests that want the same, and made anew after a test that failed.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import BoxNode
from morphnet.lab.enter import privileged, why_not
from morphnet.lab.vpn import Daemon, wait_for

NOT_HERE = why_not() or (None if privileged() else "not inside `python -m morphnet.lab.enter --`")
KEPT = Path("lab-logs")  # of tests that failed, in trial's directory
PORT = 5000  # of a scene's TCP servers

Plan = TypeVar("Plan")
SomeScene = TypeVar("SomeScene", bound="Scene")
Case = TypeVar("Case", bound="SceneCase")


class Scene:
    """One."""

    failed = False

    def daemons(self) -> Iterable[Daemon]:
        """Those whose logs are of interest."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it all."""
        raise NotImplementedError

    @contextlib.contextmanager
    def doubted(self, name: str) -> Iterator[None]:
        """What fails in here is told with its logs, and nobody uses this scene again."""
        try:
            yield
        except BaseException:
            self.failed = True
            print(f"{name}: logs in {self._keep_logs(name)}", file=sys.stderr)
            raise

    def _keep_logs(self, name: str) -> Path:
        """Copy what the processes said to where it stays."""
        place = KEPT / name
        place.mkdir(parents=True, exist_ok=True)
        for daemon in self.daemons():
            if daemon.log.exists():
                shutil.copy(daemon.log, place / f"{daemon.name}.log")
            with contextlib.suppress(OSError):
                told = {"status": daemon.status(), "happenings": daemon.happenings()}
                (place / f"{daemon.name}.json").write_text(json.dumps(told, indent=1))
        return place.resolve()


class Stage(Generic[Plan, SomeScene]):
    """
    Has one scene stand at a time.

    :param make: a scene by its plan.
    """

    def __init__(self, make: Callable[[Plan], SomeScene]) -> None:
        self._make = make
        self._standing: tuple[Plan, SomeScene] | None = None
        atexit.register(self._clear)

    def __call__(self, plan: Plan) -> SomeScene:
        """The scene that stands, if it is of such a plan and sound, else a new one."""
        if self._standing is not None:
            stands, scene = self._standing
            if stands == plan and not scene.failed:
                return scene
            self._clear()
        scene = self._make(plan)
        self._standing = plan, scene
        return scene

    def _clear(self) -> None:
        standing, self._standing = self._standing, None
        if standing is not None:
            standing[1].stop()


def serve(node: BoxNode) -> None:
    """A TCP server on that node, at PORT; it listens."""
    words = [sys.executable, "-m", "morphnet.lab.transfer", "serve", "--port", str(PORT)]
    serving: subprocess.Popen[str] = node.popen(words, stdout=subprocess.PIPE, text=True)
    assert serving.stdout is not None  # asked for above
    serving.stdout.readline()
    serving.stdout.close()


class Waiting:
    """Actions that wait for something."""

    def until(self, what: str, holds: Callable[[], bool], within: float = 20.0) -> float:
        """Seconds until it holds; nobody who answers counts as not yet."""

        def tried() -> bool:
            try:
                return holds()
            except (OSError, KeyError):
                return False

        return wait_for(what, tried, within)


def _watched(test: Callable[[Case], None]) -> Callable[[Case], None]:
    """The same test; when it fails, its scene is not used again."""

    @functools.wraps(test)
    def watched(case: Case) -> None:
        with case.scene().doubted(case.id()):
            test(case)

    return watched


class SceneCase(SynchronousTestCase):
    """Tests on a scene."""

    skip = NOT_HERE

    def __init_subclass__(cls) -> None:
        """Watch every test of the class."""
        for name, value in list(vars(cls).items()):
            if name.startswith("test_"):
                setattr(cls, name, _watched(value))

    def scene(self) -> Scene:
        """The one that this test is on."""
        raise NotImplementedError

    def unbroken(self, final: dict[str, Any]) -> None:
        """A transfer was neither reset nor changed."""
        self.assertEqual((final["resets"], final["sha256_equal"]), (0, True), final)
