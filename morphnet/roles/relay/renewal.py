"""How a relay has certificates renewed: its own, and those of its guests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.config.roles import CONTROL_PORT
from morphnet.errors import ConfigError, Refused
from morphnet.net.dial import Destination
from morphnet.net.tls import ClientTls, Identity, Peer
from morphnet.pki.authority import read_description
from morphnet.pki.names import split_address
from morphnet.roles.relay.lines import RelayLine
from morphnet.roles.signalling import control_client
from morphnet.text import same_name
from morphnet.wire.messages import control, relay

REST = 10.0  # seconds between two questions of one guest that are looked at


class Signatory(Protocol):
    """Who can have a certificate renewed."""

    async def renew(self, present: Peer, csr: str) -> control.Renewed:
        """
        The one after that.

        :raises Refused: no.
        """
        ...


class Afar:
    """
    The CA is on another host, which is called for each renewal.

    :param address: HOST or HOST:PORT of its control port; HOST is in its certificate.
    :param identity: the relay's, as it is now.
    """

    def __init__(self, address: str, identity: Callable[[], Identity], reactor: Any) -> None:
        self._host, self._port = split_address(address, CONTROL_PORT)
        self._identity, self._reactor = identity, reactor

    async def renew(self, present: Peer, csr: str) -> control.Renewed:
        """Ask the CA's host for the next one."""
        tls, where = ClientTls(self._identity(), self._host), Destination(self._host, self._port, tuple)
        try:
            return await control_client.renew(self._reactor, tls, where, control.Renew(csr, present.pem))
        except control_client.NoLink as trouble:
            raise Refused(f"the CA's host, {self._host}, is not reached: {trouble}") from None


class Nobody:
    """There is nobody to ask: an operator must say where the CA is."""

    async def renew(self, present: Peer, csr: str) -> control.Renewed:
        """:raises ConfigError: always."""
        raise ConfigError(
            "this relay does not know where the CA is: set `renew_at` in relay.toml to the address of the host where"
            " `morphnet init` was run, or make the relay anew there with `morphnet pki relay`"
        )


class RelayRenewal:
    """What the relay's port and the relay itself ask for."""

    _log = Logger()

    def __init__(self, signatory: Signatory, clock: IReactorTime) -> None:
        self._signatory, self._clock = signatory, clock
        self._waiting: WeakKeyDictionary[RelayLine, relay.Renew] = WeakKeyDictionary()  # the last question of each
        self._asked_at: WeakKeyDictionary[RelayLine, float] = WeakKeyDictionary()

    async def own(self, request: control.Renew) -> control.Renewed:
        """The relay's next certificate."""
        return await self._signatory.renew(read_description(request.certificate), request.csr)

    def asked(self, line: RelayLine, message: relay.Renew) -> None:
        """A guest wants its next certificate; whoever asks too often is heard later, and only its last question."""
        waiting, now = line in self._waiting, self._clock.seconds()
        rest = self._asked_at.get(line, float("-inf")) + REST - now
        if waiting or rest > 0:
            self._waiting[line] = message
            if not waiting:
                self._clock.callLater(rest, self._ask_again, line)
            return
        self._asked_at[line] = now
        Deferred.fromCoroutine(self._answer(line, message)).addErrback(self._failed, line.name)

    def _ask_again(self, line: RelayLine) -> None:
        message = self._waiting.pop(line, None)
        if message is not None:
            self.asked(line, message)

    async def _answer(self, line: RelayLine, message: relay.Renew) -> None:
        present = read_description(message.certificate)
        if present.kind != "client" or not same_name(present.name, line.name):
            raise Refused("certificate of another name")
        renewed = await self._signatory.renew(present, message.csr)
        line.tell(relay.Renewed(renewed.certificate, renewed.ca))

    def _failed(self, failure: Failure, name: str) -> None:
        if failure.check(Refused, ConfigError) is None:
            self._log.failure("the certificate of {name} cannot be renewed", failure, name=name)
        else:
            self._log.info("the certificate of {name} is not renewed: {why}", name=name, why=str(failure.value))
