"""A coordinator that gets its certificate itself: how that is joined."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail

from morphnet.config.home import CoordinatorConfig
from morphnet.errors import ConfigError, HostError, PeerError
from morphnet.net.webtls import WebTls
from morphnet.roles.coordinator.node import CoordinatorNode
from morphnet.roles.coordinator.plaindoor import PlainDoor
from morphnet.roles.coordinator.renewals import FILE, Ask, Renewals, account_of, place_of

BROKEN = ".broken"  # ends the name of what is put aside

_TROUBLE = (ConfigError, HostError, OSError)


class Certified:
    """
    While there is a good certificate, what only another one needs hinders nothing: it is told, and tried again.

    :ivar tls: what browsers are shown, nothing before there is a certificate.
    :ivar door: what is said by HTTP.
    """

    def __init__(self, config: CoordinatorConfig, reactor: Any) -> None:
        """
        :raises ConfigError: what speaks ACME is not installed, or `ca_file` cannot be read.
        :raises OSError: the account's key cannot be written or read.
        """
        asked = config.acme
        self._config, self._reactor, self._place = asked, reactor, place_of(config.state_dir, asked.directory)
        self.door = PlainDoor(asked.names, config.port)
        file = self._place / FILE
        self.renewals = Renewals(reactor, time.time, file, asked.names, self._ask)
        self._broken = False
        try:
            self.tls = WebTls(file, file, optional=True)
        except ConfigError:
            file.replace(file.with_suffix(BROKEN))
            self._broken, self.tls = True, WebTls(file, file, optional=True)
        self.renewals.shown = self.tls.read_again
        self._open: Callable[[], None] | None = None
        self._hinders, self._begun = "", False
        self._try(self._asking)

    def begin(self, node: CoordinatorNode, opens: Callable[[], None]) -> None:
        """
        Look for the first time; the node is told how that goes.

        :param opens: opens the door.
        :raises HostError: it cannot be opened.
        """
        self._open = opens
        if self._broken:
            node.tell("certificate", "", f"{FILE} was no certificate and its key, and was put aside")
        if not self.renewals.good:
            node.state = "getting a certificate"
        self.renewals.looks = partial(self._see, node)
        self.renewals.said = partial(self._said, node)
        self.renewals.look()
        self._begun = True

    def _see(self, node: CoordinatorNode) -> None:
        """What another certificate needs is looked for again, and opened."""
        before, self._hinders = self._hinders, self._try(self._asking) or self._try(self._opened)
        if self._hinders and self._hinders != before:
            self._said(node, self._hinders)
        elif before and not self._hinders:
            node.state = "serving"
            node.tell("certificate", "", "another one can be asked for again")

    def _try(self, what: Callable[[], object]) -> str:
        """What hinders that; raised at the start, if there is no certificate to go on with."""
        try:
            what()
        except _TROUBLE as trouble:
            if not self._begun and not self.renewals.good:
                raise
            return str(trouble)
        return ""

    def _opened(self) -> None:
        if self._open is not None:
            self._open()
            self._open = None

    def _ask(self) -> Deferred[bytes]:
        if self._hinders:
            return fail(PeerError(self._hinders))
        return self._asking()()

    def _asking(self) -> Ask:
        """How another one is asked for."""
        try:
            from morphnet.net.acme import Authority, apart, issue, make_key
        except ImportError:
            raise ConfigError("[acme] needs the package 'acme': pip install 'morphnet[acme]'") from None
        asked = self._config
        try:
            open(asked.ca_file or "/dev/null", "rb").close()
        except OSError as trouble:
            raise ConfigError(f"'ca_file' of [acme], {asked.ca_file}: {trouble.strerror}") from None
        authority = Authority(asked.directory, account_of(self._place, make_key), asked.email, asked.ca_file)
        return partial(apart, self._reactor, partial(issue, authority, asked.names, self.door.show))

    def _said(self, node: CoordinatorNode, hinders: str) -> None:
        if not hinders:
            node.state = "serving"
            node.tell("certificate", "", "there is a new one")
            return
        good = self.renewals.good
        node.state = f"serving, but no new certificate: {hinders}" if good else f"no certificate: {hinders}"
        node.tell("certificate", "", f"there is no new one: {hinders}")
