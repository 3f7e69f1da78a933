"""Real sockets: servers and browsers of the original at a coordinator that runs, beside homes of ours."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
import urllib.error
import urllib.request
from typing import Any

from tests.legacy.homechannel.case import ANSWER, GENERATIONS
from tests.legacy.homechannel.original import Curves, OriginalBrowser, OriginalServer
from tests.ports import free_port
from tests.roles.here import HOST, HereCase

# As long as the offers of a browser with many addresses: three packets of an Ethernet.
OFFER = {"sdp": {"type": "offer", "sdp": "v=0\r\n"}, "candidates": [{"candidate": "c" * 100}] * 30}


class Wire:
    """One server and its socket."""

    def __init__(self, port: int, curves: Curves, coordinator: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((HOST, port))
        self.server = OriginalServer(lambda datagram: void(self.socket.send(datagram)), curves, coordinator=coordinator)

    def until(self, what: str, within: float = 20.0) -> None:
        """Let it hear what comes until its state is that."""
        ends = time.monotonic() + within
        while what not in (self.server.state, *(["offered"] if self.server.offers else [])):
            if not select.select([self.socket], [], [], max(0.0, ends - time.monotonic()))[0]:
                raise AssertionError(f"not {what}")
            self.server.received(self.socket.recv(65536))


def void(_: object) -> None:
    """Nothing comes of it."""


def post(url: str, value: object) -> tuple[int, Any]:
    request = urllib.request.Request(url, json.dumps(value).encode(), {"Content-Type": "application/json"})
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=20) as answer:
        return answer.status, json.load(answer)
    try:
        urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as no:
        return no.code, json.load(no)
    raise AssertionError("refused once")


class HomeChannelLiveTests(HereCase):
    timeout = 60

    def test_both_generations(self) -> None:
        """All generations register by real UDP; a browser's offer of 4 kB comes to its server, and the answer back."""
        curves = {name: Curves(name) for name in GENERATIONS}
        keys = [
            each.shown.split("-----")[2].replace("\n", "") if "-" in each.shown else each.shown
            for each in curves.values()
        ]
        port = free_port()
        more: dict[str, object] = {"legacy_homechannel_port": port, "legacy_homechannel_homes": keys}
        coordinator = self.coordinator("first", legacy_homechannel=True, **more)
        wires = {}
        for name in GENERATIONS:
            pem = coordinator.etc / "coordinator" / f"homechannel{'-p256' if name == 'p256' else ''}.pub"
            wires[name] = wire = Wire(self.udp["first"], curves[name], pem.read_text())
            self.addCleanup(wire.socket.close)
            wire.server.hello()
            wire.until("registered")
        for name in ("ed25519", "ed448"):
            browser = OriginalBrowser(
                lambda path, value: post(f"http://{HOST}:{port}{path}", value), curves[name].shown
            )
            status, told = browser.connect(OFFER, int(time.time() * 1000))
            self.assertEqual(status, 200, told)
            wires[name].until("offered")
            self.assertEqual(wires[name].server.offers[0]["payload"], OFFER)
            wires[name].server.reply(told["sessionId"], ANSWER)
            while (answer := browser.poll(told["sessionId"])[1]).get("waiting"):
                time.sleep(0.05)
            self.assertEqual(browser.verified(answer), ANSWER)
        counted = [coordinator.count(f"homechannel_{name}") for name in ("servers", "offers", "malformed", "forged")]
        self.assertEqual(counted, [3, 2, 0, 0])
        self.assertEqual(post(f"http://{HOST}:{port}/api/poll", {"sessionId": "x"})[0], 404)

    def test_off(self) -> None:
        """Unless it is switched on nobody is answered."""
        self.coordinator("first")
        wire = Wire(self.udp["first"], Curves("ed25519"), "")
        self.addCleanup(wire.socket.close)
        wire.server.hello()
        self.assertEqual(select.select([wire.socket], [], [], 0.5)[0], [])
