"""What a network's datagrams may wear, and who knocks as its members do, for each CA that is trusted."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from cryptography import x509

from morphnet.errors import ConfigError
from morphnet.net.knock import is_knock, key_of, signer_of
from morphnet.net.tls import Identity
from morphnet.pki.files import trusted_cas
from morphnet.pki.unreadable import UNREADABLE
from morphnet.tunnel.wardrobe import Wardrobe
from morphnet.wire.shapes.masked import Masked
from morphnet.wire.shapes.quic import Quic
from morphnet.wire.shapes.shape import Shape

Shapes = tuple[Shape, ...]


def all_shapes(key: bytes, *, entropy: Callable[[int], bytes], sni: str | None) -> Shapes:
    """
    Of one network.

    :param key: of its knock.
    :param sni: a client's, as in its settings; None at a server.
    """
    return Masked(key, entropy), Quic(key, entropy, sni)


def masks_of(wardrobe: Wardrobe, pki_dir: Path, sni: str | None) -> Masks:
    """
    For a process whose CAs are in `pki_dir`.

    :param sni: as for `all_shapes`.
    """
    return Masks(wardrobe, partial(trusted_cas, pki_dir), partial(all_shapes, entropy=os.urandom, sni=sni))


class Masks:
    """Keeps a wardrobe in step with the CAs; what a mask has begun it goes on with as long as its CA is trusted."""

    def __init__(
        self, wardrobe: Wardrobe, cas: Callable[[], Sequence[x509.Certificate]], make: Callable[[bytes], Shapes]
    ) -> None:
        """
        :param cas: those that are trusted now; raises ConfigError when they cannot be read.
        :param make: shapes from the key of a network's knock.
        """
        self._wardrobe, self._cas, self._make = wardrobe, cas, make
        self._masks: dict[bytes, Shapes] = {}  # by that key
        self.look()

    def look(self) -> None:
        """Read the CAs again; where that fails, all stays as it is."""
        try:
            keys = [key_of(each) for each in self._cas()]
        except (ConfigError, *UNREADABLE):
            return
        self._masks = {key: self._masks.get(key) or self._make(key) for key in keys}
        masks = tuple(chain.from_iterable(self._masks.values()))
        if set(masks) != set(self._wardrobe.shapes):
            self._wardrobe.shapes = masks

    def knows(self, said: bytes) -> bool:
        """Whether somebody who says that belongs to the network, as it was at the last look."""
        return is_knock(said, self._masks)

    def ours(self, certificate: bytes, name: str) -> Shape | None:
        """
        The one of that name that whoever is to take our certificate knows.

        :param certificate: ours, PEM.
        """
        try:
            signer = signer_of(x509.load_pem_x509_certificate(certificate), self._cas())
            shapes = self._masks.get(key_of(signer), ()) if signer is not None else ()
            return next((shape for shape in shapes if shape.name == name), None)
        except (ConfigError, *UNREADABLE):
            return None


def look_for(masks: Masks | None, identity: Callable[[], Identity], name: str) -> Shape | None:
    """The shape of that name in our network, looked up anew: it may have another CA."""
    if masks is None:
        return None
    masks.look()
    return masks.ours(identity().certificate, name)
