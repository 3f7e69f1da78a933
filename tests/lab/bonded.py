"""
A real tunnel over several uplinks in a box, and loads through it: for the tests and the benchmarks of bonding.

The rate of a wire counts the bytes of IP packets, so the most that an inner payload can get is

    ceiling = sum of the rates x payload / (inner packet + OVERHEAD)

With an inner MTU of 1400 a full TCP segment carries 1348 bytes (20 IP, 20 TCP, 12 timestamps) in 1468 on the wire:
91.8 % of the rates. A full UDP packet carries 1372 in 1468: 93.5 %.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from types import TracebackType
from typing import Any

from morphnet.config.roles import Tuning
from morphnet.lab.box import Box, BoxNode
from morphnet.lab.streams import EVERY
from morphnet.lab.topologies import SERVER, Uplink, uplinks
from morphnet.lab.vpn import INNER_SERVER, Daemon, NotInTime, Vpn, json_lines, wait_for
from morphnet.wire.formats import FORMATS

INNER_MTU = 1400
INNER_NET = "10.73.0.0/24"
OVERHEAD = FORMATS[Tuning().framing].overhead + 28  # bytes: docs/protocol section 2, and IPv4 with UDP
TCP_PAYLOAD, UDP_PAYLOAD = INNER_MTU - 52, INNER_MTU - 28
PORT = 5000
SETTLE = 0.5  # seconds between two loads
PATIENCE = 15.0  # seconds that a load may take longer than it should
DIRECTIONS = ("down", "up")  # seen from the client


def ceiling(rates: Iterable[float], payload: int) -> float:
    """Mbit/s of payload that paths of these rates (bit/s) can carry, each packet as large as the inner MTU."""
    return sum(rates) * 1e-6 * payload / (INNER_MTU + OVERHEAD)


def after(values: Sequence[float], skip: float) -> float:
    """The mean of what a load told every EVERY seconds, without its first `skip` seconds."""
    return fmean(values[round(skip / EVERY) :] or [0.0])


class Bonded:
    """
    `with Bonded(ways) as tunnel:` has a server, and a client with an active path over each way.

    :param tuning: settings of both ends, as on their command lines.
    :param congestion: the congestion control of TCP at both ends, whatever this machine prefers: a figure must mean the
        same everywhere.
    """

    def __init__(
        self, ways: Sequence[Uplink], tuning: Mapping[str, object] | None = None, congestion: str = "cubic"
    ) -> None:
        self.box = Box(uplinks(ways))
        self.count, self._tuning, self._congestion = len(ways), dict(tuning or {}), congestion
        self._port = PORT

    def __enter__(self) -> Bonded:
        self.box.start()
        try:
            self._connect()
        except BaseException:
            self.box.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.box.stop()  # with every process in it

    def _connect(self) -> None:
        vpn = Vpn(self.box, SERVER, self._tuning)
        vpn.found()
        # what is measured beside the tunnel goes to the server's public address: it must stay out of it
        self.server, self.client = vpn.server, vpn.join(settings={"routes": [INNER_NET], **self._tuning})
        self.wait_active(self.count)
        self.inner_client = self.client.session()["inner"][0].partition("/")[0]

    def wait_active(self, count: int, within: float = 20.0) -> None:
        """Until the client has that many active paths."""
        wait_for(f"{count} active paths", lambda: list(self.client.states().values()).count("active") == count, within)

    def tool(self, node: str, module: str, *words: str) -> subprocess.Popen[str]:
        """Start a Python module in a node."""
        return self.box.node(node).popen([sys.executable, "-m", module, *words], stdout=subprocess.PIPE, text=True)

    def sides(self, direction: str) -> tuple[BoxNode, Daemon, str]:
        """Who receives, which daemon sends, and the inner address of the receiver."""
        if direction == "down":
            return self.box.node("client"), self.server, self.inner_client
        return self.box.node("server"), self.client, INNER_SERVER

    def tcp(
        self, direction: str, seconds: float, streams: int = 1, watch: Callable[[float], None] = lambda at: None
    ) -> list[float]:
        """
        TCP through the tunnel, counted where it arrives: Mbit/s in each EVERY seconds.

        :param watch: called with the seconds since the start at each line.
        """
        return self.streams(direction, seconds, streams, INNER_SERVER, watch=watch)

    def streams(
        self,
        direction: str,
        seconds: float,
        streams: int,
        server: str,
        *words: str,
        watch: Callable[[float], None] = lambda at: None,
    ) -> list[float]:
        """
        TCP from the client to the address `server`; the client connects in both directions.

        :param words: more options of morphnet.lab.streams.
        """
        self._port += 1
        far, near = ("give", "take") if direction == "down" else ("take", "give")
        more = ("--congestion", self._congestion, *words)
        serving = self.tool("server", "morphnet.lab.streams", "serve", far, str(self._port), *more)
        assert serving.stdout is not None
        serving.stdout.readline()
        connect = ("connect", near, str(self._port), server, "--streams", str(streams), *more)
        client = self.tool("client", "morphnet.lab.streams", *connect)
        told: list[float] = []
        taking = client if direction == "down" else serving
        patience = threading.Timer(seconds + PATIENCE, taking.kill)
        patience.start()  # a stream that stands still says nothing
        for line in json_lines(taking):
            told.append(line["mbit_s"])
            watch(len(told) * EVERY)
            if len(told) >= round(seconds / EVERY):
                break
        patience.cancel()
        for process in (client, serving):
            process.kill()
            process.communicate()
        if len(told) < round(seconds / EVERY):
            raise NotInTime(f"{streams} TCP {direction} stood still; it told {told}, paths are {self.client.states()}")
        time.sleep(SETTLE)  # until what was under way has arrived
        return told

    def udp(
        self, direction: str, seconds: float, rate: float, size: int = UDP_PAYLOAD
    ) -> tuple[list[float], dict[str, Any]]:
        """
        One flow of numbered datagrams through the tunnel, at `rate` bit/s of payload.

        :return: Mbit/s in each EVERY seconds, and the receiver's final line.
        """
        self._port += 1
        node, sender, address = self.sides(direction)
        receiving = self.tool(
            node.name, "morphnet.lab.udpload", "receive", "--port", str(self._port), "--every", str(EVERY)
        )
        assert receiving.stdout is not None
        receiving.stdout.readline()
        words = ("--rate", str(rate), "--size", str(size), "--seconds", str(seconds))
        self.tool(sender.node.name, "morphnet.lab.udpload", "send", address, str(self._port), *words)
        lines = list(json_lines(receiving))
        receiving.wait(10)
        told = [line["goodput_mbit_s"] for line in lines[:-1] if line["received"]]
        return told[: round(seconds / EVERY)], lines[-1]
