"""What a server opens for clients of the original, and how that is joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort

from morphnet.config.legacy import MorphProtocolConfig, split_place
from morphnet.net.legacy_health import health_site, listen
from morphnet.roles.process.chores import Chore
from morphnet.roles.process.legacy_key import read_or_make_key
from morphnet.roles.server.legacy import SWEEP_EVERY, Around, LegacyServer
from morphnet.status import LegacyStatus


class OldClients:
    """Opens its ports when made."""

    def __init__(self, config: MorphProtocolConfig, around: Around) -> None:
        """
        :raises ConfigError: the file of the key holds none.
        :raises HostError: a port is taken.
        """
        self.config = config
        self._began_at, self._now = around.now(), around.now
        self._server = LegacyServer(config, read_or_make_key(config.key_file), around)
        self._health: IListeningPort | None = None
        self._server.open()
        if config.health:
            self._health = listen(around.reactor, *split_place(config.health), health_site(self.health, self.metrics))
        self._sweeping = Chore(around.reactor, SWEEP_EVERY, self._server.sweep)

    def health(self) -> Mapping[str, object]:
        """That it runs."""
        return {"status": "ok", "uptime": round(self._now() - self._began_at, 3)}

    def metrics(self) -> Mapping[str, object]:
        """What it has counted."""
        return {**self.health(), **self.counters()}

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        return self._server.counters()

    def statuses(self, dated: Callable[[float], float]) -> tuple[LegacyStatus, ...]:
        """:param dated: turns a moment on our clock into Unix seconds."""
        return self._server.statuses(dated)

    def listening(self) -> str:
        """Where, for a person."""
        return f"{self.config.listen} udp {self.config.port} for clients of the original"

    async def close(self) -> None:
        """End all sessions, and tell their clients."""
        self._sweeping.stop()
        self._server.close()
        if self._health is not None:
            await maybeDeferred(self._health.stopListening)
