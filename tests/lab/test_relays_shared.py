"""Two relay processes on one host that share their guests through a real Redis, and machines each at another one."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import RELAY_PORT
from morphnet.lab.box import Box
from morphnet.lab.homes import RELAYS, Home, homes
from morphnet.lab.meeting import Meeting
from morphnet.lab.vpn import Daemon, wait_for
from tests.lab.case import Ping, rest
from tests.lab.scene import NOT_HERE

# The package `redis-server` starts one for the whole machine. In `redis-tools` is the same program, under the name of a
# tool; it does what the name says by which it was started.
REDIS = shutil.which("redis-server") or shutil.which("redis-check-rdb")
REDIS_PORT, PASSWORD = 6399, "s3cret"
URL = f"redis://:{PASSWORD}@127.0.0.1:{REDIS_PORT}"
SECOND_PORT, SECOND_ECHO = 4443, 3480


class SharedCase(SynchronousTestCase):
    """Redis and two relay processes on the relay's node."""

    rootless = False

    skip = NOT_HERE or (None if REDIS else "no redis-server here (Debian package redis-tools)")
    timeout = 180
    homes: tuple[Home, ...] = ()
    port = SECOND_PORT  # of the second process

    def setUp(self) -> None:
        self.box = Box(homes(self.homes))
        self.addCleanup(self.box.stop)
        self.box.start()
        self.redis: subprocess.Popen[str] | None = None
        self.addCleanup(self.kill_redis)
        self.start_redis()
        self.meeting = Meeting(self.box, {"redis-url": URL})
        self.addCleanup(self.meeting.stop)
        self.meeting.found()
        settings = {"redis-url": URL, "relay-port": self.port, "echo-port": SECOND_ECHO}
        self.second = Daemon(self.box.node("relay"), "morph-relay", "meet2", settings)
        self.second.dir.mkdir(parents=True)
        where = "--address", RELAYS[0], "--out", str(self.second.etc)
        self.meeting.relay.morphnet("pki", "relay", "meet2.example", *where, "--dir", str(self.meeting.relay.etc))
        self.second.start()
        self.meeting.others.append(self.second)
        self.until("each knows the other", lambda: all(self.counter(each, "neighbours") == 1 for each in self.relays))

    @property
    def relays(self) -> tuple[Daemon, Daemon]:
        """Both."""
        return self.meeting.relay, self.second

    def start_redis(self) -> None:
        """Start Redis with nothing in it; it keeps nothing."""
        node = self.box.node("relay")
        place = Path(node.dir) / "redis"
        place.mkdir(exist_ok=True)
        program = place / "redis-server"
        if not program.is_symlink():
            program.symlink_to(str(REDIS))
        words = [str(program), "--port", str(REDIS_PORT), "--bind", "127.0.0.1", "--requirepass", PASSWORD]
        words += ["--save", "", "--appendonly", "no", "--dir", str(place), "--logfile", str(place / "log")]
        self.redis = node.popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_redis(self) -> None:
        """As a crash would end it."""
        if self.redis is not None:
            self.redis.kill()
            self.redis.wait()
            self.redis = None

    def counter(self, relay: Daemon, name: str) -> int:
        """Of a relay."""
        status = relay.status()
        return int({**status["counters"], **status["levels"]}.get(name, 0))

    def until(self, what: str, holds: Callable[[], bool], within: float = 20.0) -> float:
        """Seconds until it holds; nobody who answers counts as not yet."""

        def tried() -> bool:
            with contextlib.suppress(OSError, KeyError):
                return holds()
            return False

        return wait_for(what, tried, within)

    def come(self, home: int, name: str, port: int) -> None:
        """A machine, at the relay process of that port."""
        self.meeting.enrol(f"m{home}", name, {"mesh-relays": f"{RELAYS[0]}:{port}"}).start()

    def none_lost(self, ping: Ping) -> None:
        """Not one echo was lost."""
        final = ping.wait()
        self.assertEqual((final["lost"], final["duplicates"]), (0, 0), final)

    def ping(self, at: str, of: str, count: int = 50) -> Ping:
        """Start to ping a peer."""
        return Ping(self.meeting.machines[at].node, self.meeting.inner(of), "--count", str(count))

    def meet(self, one: str, other: str, way: str = "") -> None:
        """Wait until they have."""
        self.meeting.wait_met((one, other), way)


class TwoPortsTests(SharedCase):
    """Each process has its own port; Redis comes and goes."""

    rootless = False

    homes = (Home(), Home(), Home("hard"), Home("hard"))

    def test_redis_comes_and_goes(self) -> None:
        """Machines at two relays meet; without Redis lines go on and one relay works; with it again both do."""
        self.come(0, "anna", RELAY_PORT)
        self.come(1, "bert", SECOND_PORT)
        self.meet("anna", "bert", "direct")
        self.assertEqual([len(relay.status()["guests"]) for relay in self.relays], [1, 1])
        self.assertGreater(self.counter(self.second, "from_neighbours"), 0)
        self.none_lost(self.ping("anna", "bert"))

        lasting = self.ping("anna", "bert", 600)
        self.kill_redis()
        self.until("both are alone", lambda: {each.status()["state"] for each in self.relays} == {"serving, alone"})
        self.come(2, "carl", RELAY_PORT)
        self.meet("anna", "carl")
        self.none_lost(self.ping("carl", "anna"))
        self.none_lost(lasting)
        rest(8.0)  # what each knew of the other has lapsed
        self.assertEqual([self.counter(relay, "neighbours_guests") for relay in self.relays], [0, 0])
        self.assertEqual(self.meeting.ways("anna", "bert"), "direct")

        self.start_redis()
        self.come(3, "dora", SECOND_PORT)
        self.meet("carl", "dora", "relay")
        before = self.counter(self.second, "from_neighbours")
        self.none_lost(self.ping("carl", "dora"))
        # Echoes that wait for a busy machine go in one envelope; a way past the neighbour leaves some probes at most.
        self.assertGreaterEqual(self.counter(self.second, "from_neighbours") - before, 20)
        self.assertEqual({each.status()["state"] for each in self.relays}, {"serving"})
        for relay in self.relays:
            self.assertNotIn(PASSWORD, relay.log.read_text())

    def test_killed(self) -> None:
        """The guests of a relay process that is killed are gone within ten seconds."""
        self.come(0, "anna", RELAY_PORT)
        self.come(1, "bert", SECOND_PORT)
        self.meet("anna", "bert")
        self.second.kill()
        self.until("they are gone", lambda: self.counter(self.meeting.relay, "neighbours_guests") == 0, 10.0)


class OnePortTests(SharedCase):
    """Both processes listen on one port, and the kernel deals out the machines."""

    rootless = False

    homes = (Home(), Home(), Home("hard"), Home("hard"))
    port = RELAY_PORT

    def test_all_meet(self) -> None:
        """Wherever they are, all meet."""
        names = ("anna", "bert", "carl", "dora")
        for home, name in enumerate(names):
            self.come(home, name, RELAY_PORT)
        self.meeting.wait_met(names)
        self.assertEqual(sum(len(relay.status()["guests"]) for relay in self.relays), len(names))
        self.meet("anna", "bert", "direct")
        self.none_lost(self.ping("carl", "dora"))
