"""
A client of a server of the original: it carries what the local WireGuard sends there, and does nothing else.

No TUN, no certificate and no root: one socket for WireGuard, one for the server.

Source: docs/legacy section 7.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import DNSLookupError
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.config.legacy import split_place
from morphnet.config.roles import ClientConfig
from morphnet.errors import MalformedFrame
from morphnet.legacy.caller import Caller, draw
from morphnet.legacy.control import CLOSE, Key
from morphnet.legacy.runs import cut, equal_runs, join
from morphnet.net.legacy_udp import FragmentingDoor
from morphnet.net.pump import Pump, since_boot
from morphnet.ops.headline import AT_ORIGINAL
from morphnet.roles.process.legacy_key import read_key
from morphnet.roles.process.node import Node
from morphnet.roles.process.process import Process
from morphnet.roles.process.statuses import shown_address
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Arrival, Departure, Endpoint

LOOK_EVERY = 1.0  # seconds


class LegacyLink:
    """
    Moves datagrams between the local WireGuard and the server.

    :param number: gives each socket a name.
    :param now: seconds, never back.
    """

    _log = Logger()

    def __init__(
        self, config: ClientConfig, key: Key, reactor: Any, number: Callable[[], int], now: Callable[[], float]
    ) -> None:
        server, _, user = config.legacy.strip().rpartition(":")
        self.server, self._key, self._reactor, self._now = server, key, reactor, now
        self.caller = Caller(key, draw(user, os.urandom), os.urandom)
        host, port = split_place(config.legacy_listen)
        self._local = FragmentingDoor(reactor, number(), self._from_local, host=host, port=port)
        self._outer = FragmentingDoor(reactor, number(), self._from_outside)
        self._control: Endpoint | None = None  # of the server; None until its name was looked up
        self._program: Endpoint | None = None  # who sent to us last
        self._looking: Deferred[None] | None = None
        self.strangers = 0  # datagrams from elsewhere, or that are none

    def open(self) -> None:
        """
        Serve the local WireGuard, and call.

        :raises HostError: the port is taken.
        """
        self._local.open()
        self._outer.open()

    def close(self) -> None:
        """Tell the server, and stop."""
        if self._looking is not None:
            self._looking.cancel()
        if self._control is not None:
            self._send(self._control, [self._key.seal(CLOSE)])
        self._local.close()
        self._outer.close()

    def look(self) -> None:
        """What is due: a call, a heartbeat."""
        now = self._now()
        sealed = self.caller.call(now=now)
        if sealed is not None and self._looking is None:
            self._looking = ensureDeferred(self._call(sealed))
            self._looking.addCallbacks(self._called, self._called)
        beat = self.caller.heartbeat(now=now, millis=_millis())
        if beat is not None and self.caller.session is not None:
            self._send(self.caller.session.peer, [beat])

    async def _call(self, sealed: bytes) -> None:
        """The name is looked up each time: the server may have moved."""
        host, port = split_place(self.server)
        try:
            self._control = Endpoint(await self._reactor.resolve(host), port)
            self._send(self._control, [sealed])
        except DNSLookupError:
            self.caller.state = f"calling: there is no {host}"

    def _called(self, outcome: object) -> None:
        """For who looked that name up: numbers are found at once."""
        self._looking = None
        if isinstance(outcome, Failure) and not outcome.check(CancelledError):
            self._log.failure("the call failed", outcome)

    def _from_outside(self, arrivals: Sequence[Arrival]) -> None:
        now = self._now()
        for arrival in arrivals:
            datagrams = cut(bytes(arrival.data), arrival.size)
            if self._control is not None and arrival.source[:2] == self._control[:2]:
                self._answered(datagrams, now)
                continue
            texts = self.caller.receive(arrival.source, datagrams, now=now)
            self.strangers += 0 if texts else len(datagrams)
            if self._program is not None:
                door, to = self._local, self._program
                door.send([Departure(door.number, to, run, size) for run, size in join(texts)])

    def _answered(self, datagrams: Sequence[bytes], now: float) -> None:
        assert self._control is not None
        for datagram in datagrams:
            try:
                self.caller.answered(datagram, self._control, now=now)
            except MalformedFrame:
                self.strangers += 1

    def _from_local(self, arrivals: Sequence[Arrival]) -> None:
        now = self._now()
        for arrival in arrivals:
            self._program = arrival.source
            for run, size in equal_runs(bytes(arrival.data), arrival.size):
                datagrams = self.caller.send(run, size, now=now, millis=_millis())
                if self.caller.session is not None:
                    self._send(self.caller.session.peer, datagrams)

    def _send(self, to: Endpoint, datagrams: Sequence[bytes]) -> None:
        door = self._outer
        door.send([Departure(door.number, to, run, size) for run, size in join(datagrams)])


def _millis() -> int:
    return int(time.time() * 1000)


class LegacyNode(Node):
    """What `status` says of it."""

    role = "client"
    sections = ()

    def __init__(self, name: str, pump: Pump, link: LegacyLink, listen: str) -> None:
        super().__init__(name, pump)
        self._link, self._listen = link, listen

    def follow(self) -> None:
        """Say what has changed."""
        said = AT_ORIGINAL if self._link.caller.state == "connected" else self._link.caller.state
        if said != self.state:
            self.state = said
            self.tell("legacy", "", f"the original's server {self._link.server}: {said}")

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        session = self._link.caller.session
        where = f"by {shown_address(session.peer)} " if session is not None else ""
        return (f"an original server {where}hides WireGuard and does not protect it: see docs/legacy.md",)

    def door_counters(self) -> Counter[str]:
        """With what did not come from the server, or was none of its."""
        counted = super().door_counters()
        counted["legacy_strangers"] += self._link.strangers
        if self._link.caller.session is not None:
            counted.update(self._link.caller.session.counts)
        return counted

    def listening(self) -> tuple[str, ...]:
        """Where the local WireGuard finds it."""
        return (f"{self._listen} udp for WireGuard",)


class LegacyClientProcess(Process):
    """Beside nothing else: it changes nothing on the machine."""

    def __init__(self, config: ClientConfig, reactor: Any, read: Callable[[], ClientConfig] | None = None) -> None:
        super().__init__(config, reactor, read)
        self.config = config

    def open(self) -> LegacyNode:
        config = self.config
        self._pump = Pump(self.reactor, Tunnel(server=False, entropy=os.urandom), since_boot)
        key = read_key(config.legacy_key)
        self._link = LegacyLink(config, key, self.reactor, self._pump.new_number, self._pump.now)
        self._link.open()
        node = LegacyNode(config.name, self._pump, self._link, config.legacy_listen)

        def look() -> None:
            self._link.look()
            node.follow()

        self.every(LOOK_EVERY, look, now=True)
        return node

    async def close(self) -> None:
        self._link.close()
        self._pump.stop()
