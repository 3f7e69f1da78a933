"""What a relay knows of revoked certificates: each of its networks for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from cryptography import x509
from twisted.internet.interfaces import IReactorTime

from morphnet.net.tls import Peer
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.roles.relay.lines import RelayLine
from morphnet.wire.messages.revocations import BEFORE, Listing, Revocations, RevokedPart


class _Afar:
    """All other relays of a Redis, as one link: they are told by `changed`, and ask for nothing."""

    def tell(self, message: Listing) -> None:
        """`changed` has told them."""


class RelayLists:
    """
    The lists of all networks that meet here, as the lines want them.

    :param cas: of each network.
    :param changed: a network has another list than before, or more of it.
    :param announced: a list of a network says which CAs it trusts.
    """

    def __init__(
        self,
        cas: Callable[[], Mapping[str, Sequence[x509.Certificate]]],
        state_dir: Path,
        clock: IReactorTime,
        changed: Callable[[str, RevocationExchange], None],
        announced: Callable[[str, Sequence[x509.Certificate]], None] = lambda network, cas: None,
    ) -> None:
        self._cas, self._state_dir, self._clock, self._changed = cas, state_dir, clock, changed
        self._announced = announced
        self._networks: dict[str, RevocationExchange] = {}
        self._afar = _Afar()

    def of(self, network: str) -> RevocationExchange:
        """That of one network, which must be one of ours."""
        known = self._networks.get(network)
        if known is None:
            path = self._state_dir / f"revoked-{network}.pem"
            revoked = Revoked(lambda: self._cas()[network], path, partial(self._announced, network))
            known = RevocationExchange(revoked, self._clock, lambda: self._changed(network, self.of(network)))
            self._networks[network] = known
            known.joined(self._afar, BEFORE)
        return known

    def read(self) -> None:
        """What was known before a restart: before anybody is let in."""
        for network in self._cas():
            self._changed(network, self.of(network))

    def is_revoked(self, peer: Peer) -> bool:
        """Asked at every handshake: a list is of its own network only."""
        return peer.issuer in self._cas() and self.of(peer.issuer).revoked.is_revoked(peer)

    # -- lines ---------------------------------------------------------------------------------------------------------

    def joined(self, line: RelayLine, number: int) -> None:
        """A line is registered; the number of the list that it has."""
        if line.network in self._cas():
            self.of(line.network).joined(line, number)

    def left(self, line: RelayLine) -> None:
        """It is gone; harmless when it was not registered."""
        if line.network in self._networks:
            self._networks[line.network].left(line)

    def heard(self, line: RelayLine, message: Listing) -> None:
        """It has something to say."""
        if line.network in self._networks:
            self._networks[line.network].heard(line, message)

    # -- other relays --------------------------------------------------------------------------------------------------

    def told_afar(self, network: str, crl: str) -> None:
        """Another relay has told a list."""
        if network in self._cas():
            self.of(network).heard(self._afar, Revocations(crl))

    def part_afar(self, network: str, text: str) -> None:
        """Another relay has told a part."""
        if network in self._cas():
            self.of(network).heard(self._afar, RevokedPart(text))
