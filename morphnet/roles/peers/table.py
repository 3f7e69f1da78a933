"""Whom relays have told of, and whom of them we know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from morphnet.roles.peers.peer import Peer
from morphnet.roles.peers.surroundings import Line, Surroundings
from morphnet.text import is_machine
from morphnet.wire.messages.relay import EVERYBODY, Present


class PeerTable:
    """
    Every peer by its name.

    :param make: a peer of that name.
    :param having: the relays where one is, now.
    """

    def __init__(
        self, around: Surroundings, make: Callable[[str], Peer], having: Callable[[str], Sequence[Line]]
    ) -> None:
        self._around, self._make, self._having = around, make, having
        self._peers: dict[str, Peer] = {}

    def get(self, name: str) -> Peer | None:
        """The one of that name."""
        return self._peers.get(name)

    def names(self) -> list[str]:
        """Of all, in order."""
        return sorted(self._peers)

    def __iter__(self) -> Iterator[Peer]:
        """All, in the order of their names."""
        return iter([self._peers[name] for name in self.names()])

    # -- what relays tell ----------------------------------------------------------------------------------------------

    def present(self, relay: Line, said: Present) -> None:
        """A peer is there."""
        wanted = self._around.ourselves.wanted
        if said.name == self._around.ourselves.name:
            return
        if not is_machine(said.name):  # nobody could show a certificate for it
            self._around.history.count("misnamed_peer")
            return
        if EVERYBODY not in wanted and said.name not in wanted:
            self._around.history.count("unwanted_peers")  # the relay was told whom we want: it is not to be trusted
            return
        known = self._peers.get(said.name)
        if known is None:
            known = self._peers[said.name] = self._make(said.name)
        known.present(relay, said)

    def absent(self, relay: Line, name: str) -> None:
        """It is gone."""
        peer = self._peers.get(name)
        if peer is None:
            return
        peer.absent(relay)
        if not peer.is_proven and not self._having(name):  # nothing but a name
            del self._peers[name]
            peer.stop()

    def handshake(self, relay: Line, name: str, content: bytes) -> None:
        """Bytes of a peer's handshake."""
        if name in self._peers:
            self._peers[name].handshake(relay, content)

    def called(self, relay: Line, name: str) -> None:
        """A peer asks us to begin."""
        if name in self._peers:
            self._peers[name].called(relay)

    def relays_changed(self) -> None:
        """Another relay than before is the one to take."""
        for peer in self:
            peer.keep_relay_paths()

    # -- what else changes ---------------------------------------------------------------------------------------------

    def sockets_changed(self) -> None:
        """We have other sockets than before."""
        for peer in self:
            peer.sockets_changed()

    def addresses_changed(self) -> None:
        """We may be reached elsewhere than before."""
        for peer in self:
            peer.addresses_changed()

    def look_at_certificates(self) -> None:
        """Leave those whose certificate is revoked or has expired by now."""
        now = self._around.wall()
        for peer in self:
            shown = peer.certificate
            if peer.session is not None and shown is not None:
                if self._around.ourselves.is_revoked(shown):
                    peer.forget("its certificate was revoked")
                elif shown.not_after <= now:
                    peer.forget("its certificate has expired")

    def stop(self) -> None:
        """Leave everybody."""
        for peer in self:
            peer.stop()
