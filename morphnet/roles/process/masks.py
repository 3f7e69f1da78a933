"""The masks that a network's datagrams may wear, one for each CA that is trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptography import x509

from morphnet.errors import ConfigError
from morphnet.net.knock import key_of, signer_of
from morphnet.pki.unreadable import UNREADABLE
from morphnet.tunnel.wardrobe import Wardrobe
from morphnet.wire.shapes.masked import Masked


class Masks:
    """Keeps a wardrobe in step with the CAs; what a mask has begun it goes on with as long as its CA is trusted."""

    def __init__(
        self, wardrobe: Wardrobe, cas: Callable[[], Sequence[x509.Certificate]], entropy: Callable[[int], bytes]
    ) -> None:
        """:param cas: those that are trusted now; raises ConfigError when they cannot be read."""
        self._wardrobe, self._cas, self._entropy = wardrobe, cas, entropy
        self._masks: dict[bytes, Masked] = {}  # by the key of its network's knock
        self.look()

    def look(self) -> None:
        """Read the CAs again; where that fails, all stays as it is."""
        try:
            keys = [key_of(each) for each in self._cas()]
        except (ConfigError, *UNREADABLE):
            return
        self._masks = {key: self._masks.get(key) or Masked(key, self._entropy) for key in keys}
        masks = tuple(self._masks.values())
        if masks != self._wardrobe.shapes:
            self._wardrobe.shapes = masks

    def ours(self, certificate: bytes) -> Masked | None:
        """
        The one that whoever is to take our certificate knows.

        :param certificate: ours, PEM.
        """
        try:
            signer = signer_of(x509.load_pem_x509_certificate(certificate), self._cas())
            return self._masks.get(key_of(signer)) if signer is not None else None
        except (ConfigError, *UNREADABLE):
            return None
