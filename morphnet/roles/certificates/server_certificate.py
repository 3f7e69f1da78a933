"""The certificate that a server has shown: a session with it lasts no longer."""

from __future__ import annotations

from collections.abc import Callable

from morphnet.net.tls import Peer, Revoked

COME_AGAIN = 10.0  # seconds before its end at which the server is called anew: it may have the next one already


class ServerCertificate:
    """
    :param revoked: whether a certificate is.
    :param leave: end the session; hears why.
    :param call_anew: end the control link, so that the server shows what it has now. Then nothing is lost.
    """

    def __init__(self, revoked: Revoked, leave: Callable[[str], None], call_anew: Callable[[], None]) -> None:
        self._revoked, self._leave, self._call_anew = revoked, leave, call_anew
        self._shown: Peer | None = None
        self._called = ""  # serial of the one that was asked about

    def shown(self, peer: Peer | None) -> None:
        """The server has shown this one."""
        self._shown = peer

    def look(self, now: float) -> None:
        """
        Whether it is still good.

        :param now: Unix seconds.
        """
        shown = self._shown
        if shown is None:
            return
        revoked = self._revoked(shown)
        if revoked or shown.not_after <= now:
            self._shown = None
            self._leave(f"the server's certificate {'was revoked' if revoked else 'has expired'}")
        elif shown.not_after - COME_AGAIN <= now and self._called != shown.serial:
            self._called = shown.serial
            self._call_anew()
