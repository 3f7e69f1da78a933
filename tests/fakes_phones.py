"""What there is around machines that come by WireGuard: a device, the server's machine, and who counts, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from twisted.internet.defer import Deferred, fail, succeed

from morphnet.errors import HostError
from morphnet.wire.wireguard import Changes, Seen, Told


class FakeDevice:
    """Is as it was told to be."""

    what = "a fake"

    def __init__(self) -> None:
        self.now, self.changes, self.trouble, self.stopped = Told(), list[Changes](), "", 0
        self.waits: Deferred[Told] | None = None

    def told(self) -> Deferred[Told]:
        if self.waits is not None:
            return self.waits
        return fail(HostError(self.trouble)) if self.trouble else succeed(self.now)

    def change(self, changes: Changes) -> Deferred[None]:
        self.changes.append(changes)
        peers = {each.peer.public_key: each for each in self.now.peers if each.peer.public_key not in changes.gone}
        for put in changes.put:
            peers[put.public_key] = replace(peers.get(put.public_key, Seen(put)), peer=put)
        key, port = changes.private_key or self.now.private_key, changes.port or self.now.port
        self.now = Told(key, port, tuple(peers.values()))
        return succeed(None)

    def hears(self, key: str, at: int, received: int, sent: int) -> None:
        """A peer has come."""
        self.now = replace(
            self.now,
            peers=tuple(
                Seen(each.peer, "192.0.2.1:5", at, received, sent) if each.peer.public_key == key else each
                for each in self.now.peers
            ),
        )

    def stop(self) -> Deferred[None]:
        self.stopped += 1
        return succeed(None)


class FakeMachine:
    """What was done to it, and what it refuses."""

    def __init__(self) -> None:
        self.by_kernel, self.refuses = True, False
        self.up = self.downs = 0
        self.led: tuple[str, ...] = ()
        self.refused = (0, 0)
        self.judged: list[tuple[str, ...] | None] = []

    def wireguard_up(self, device: str) -> bool:
        if self.refuses:
            raise HostError("not permitted")
        self.up += 1
        return self.by_kernel

    def phones_are(self, device: str, mtu: int, addresses: Sequence[str]) -> None:
        self.led = tuple(addresses)

    def phones_judged(self, device: str, lines: Sequence[str] | None) -> None:
        if self.refuses:
            raise HostError("not permitted")
        self.judged.append(None if lines is None else tuple(lines))
        self.refused = (0, 0)

    def phones_refused(self) -> tuple[int, int]:
        if self.refuses:
            raise HostError("not permitted")
        return self.refused

    def wireguard_down(self) -> None:
        self.downs, self.led, self.refused = self.downs + 1, (), (0, 0)


class FakeMeter:
    """What was carried, and who may not."""

    def __init__(self) -> None:
        self.carried: dict[str, tuple[int, int]] = {}
        self.refuses = ""
        self.here: list[str] = []

    def add(self, name: str, sent: int, received: int) -> None:
        before = self.carried.get(name, (0, 0))
        self.carried[name] = before[0] + sent, before[1] + received

    def refusal(self, name: str) -> str:
        return self.refuses

    def came(self, session: str) -> None:
        self.here.append(f"+{session}")

    def gone(self, session: str) -> None:
        self.here.append(f"-{session}")
