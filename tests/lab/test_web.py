"""TCP 443 as strangers find it: behind a web server it is that web server, and else it is nobody's."""

from __future__ import annotations

import json
import struct
import sys
from collections import defaultdict
from pathlib import Path

from morphnet.lab.topologies import SERVER
from tests.lab.obstacles import BARE, NGINX, nginx_before, without_udp
from tests.lab.scene import NOT_HERE
from tests.lab.test_server_streams import StreamCase

PROBES = 1000
ALERTS = ("15030300020228", "1503030002010015030300020228")  # handshake_failure, behind close_notify or alone
_RECORD, _ETHERNET, _TCP = struct.Struct("=IIII"), 14, 6
STRANGER = """
import collections, json, random, socket, sys
from tests.lab.probes import hello
chance, found = random.Random(5), collections.Counter()
words = [hello(), b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n", *(chance.randbytes(200) for _ in range(8))]
words += map(bytes.fromhex, sys.stdin)
for word in words:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5.0) as stranger:
        try:
            stranger.sendall(word)
            stranger.settimeout(0.5)
            found[stranger.recv(4096).hex()] += 1
        except OSError:
            found[""] += 1
print(json.dumps({"sent": len(words), "answers": found}))
"""


def sent_to(capture: Path, port: int) -> list[bytes]:
    """What each TCP connection to that port has sent, of a pcap file of IPv4 and Ethernet."""
    data, at, streams = capture.read_bytes(), 24, defaultdict[bytes, bytes](bytes)
    while at + _RECORD.size <= len(data):
        size = _RECORD.unpack_from(data, at)[2]
        packet = data[at + _RECORD.size + _ETHERNET : at + _RECORD.size + size]
        at += _RECORD.size + size
        if len(packet) < 40 or packet[9] != _TCP:
            continue
        start, length = 4 * (packet[0] & 15), struct.unpack_from("!H", packet, 2)[0]
        if struct.unpack_from("!H", packet, start + 2)[0] == port:
            streams[packet[12:16] + packet[start : start + 2]] += packet[start + 4 * (packet[start + 12] >> 4) : length]
    return [stream[:16384] for stream in streams.values() if stream]


class WebCase(StreamCase):
    """With what passed by TCP 443 while a stream was used."""

    alone = True
    skip = NOT_HERE or (None if NGINX.exists() else "no nginx here")

    def restart(self, **settings: object) -> None:
        """The server, with these."""
        self.network.failed = True  # nobody else wants them
        self.server.stop()
        self.server.settings |= settings
        self.server.start()
        self.both_active()

    def recorded(self) -> list[bytes]:
        """What a client has sent to 443."""
        captured = Path(self.box.dir) / "wan0.pcap"
        self.box.wire("wan0").capture(str(captured))
        with without_udp(self.box):
            self.until_stream(8.0)
            self.breathes()
        self.box.wire("wan0").capture(None)
        found = sent_to(captured, 443)
        captured.unlink()
        self.assertNotEqual(found, [])
        return found


class BehindNginxTests(WebCase):
    def test_probes(self) -> None:
        """A thousand probes of all kinds are answered as by the same web server without us; clients are served."""
        self.restart(stream_port=443, proxy=True)
        with nginx_before(self.server):
            seen = Path(self.box.dir) / "recorded"
            seen.write_text("".join(f"{each.hex()}\n" for each in self.recorded()))
            words = SERVER, "443", str(BARE), str(PROBES), str(seen)
            done = self.box.node("isp").run([sys.executable, "-m", "tests.lab.probes", *words], timeout=100.0)
            told = json.loads(done.stdout)
            self.assertEqual((told["probes"], told["different"]), (PROBES, 0), told)
            self.assertEqual(set(told["kinds"].values()), {PROBES // 10})
            self.assertTrue(any(each.startswith("HTTP/1.1 404") for each in told["told"]), told["told"])
            refused = self.server.status()["counters"].get("streams_refused", 0)
            self.assertGreater(refused, 0)  # some of them had come through to us
            with without_udp(self.box):
                self.until_stream(8.0)
                self.breathes()
                (stream,) = (path for name, path in self.client.paths().items() if name.startswith("tcp "))
                self.assertEqual(stream["remote"], f"{SERVER}:443")


class OwnTests(WebCase):
    def test_strangers(self) -> None:
        """Where our own TLS has 443, a stranger gets the alert of one without a certificate, or nothing."""
        self.restart(stream_port=443)
        words = [each[: 50 * turn] for turn, each in enumerate(4 * self.recorded(), 1)]
        lines = "".join(f"{each.hex()}\n" for each in words)
        done = self.box.node("isp").run([sys.executable, "-c", STRANGER, SERVER, "443"], input=lines)
        told = json.loads(done.stdout)
        self.assertEqual(told["sent"], 10 + len(words))
        self.assertLessEqual(set(told["answers"]), {"", *ALERTS}, told)
