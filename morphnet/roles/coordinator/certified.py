"""A coordinator that gets its certificate itself: how that is joined."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from morphnet.config.home import CoordinatorConfig
from morphnet.errors import ConfigError
from morphnet.net.webtls import WebTls
from morphnet.roles.coordinator.node import CoordinatorNode
from morphnet.roles.coordinator.plaindoor import PlainDoor
from morphnet.roles.coordinator.renewals import FILE, Renewals, account_of, place_of


class Certified:
    """
    :ivar tls: what browsers are shown, nothing before there is a certificate.
    :ivar door: what is said by HTTP.
    """

    def __init__(self, config: CoordinatorConfig, reactor: Any) -> None:
        """
        :raises ConfigError: what speaks ACME is not installed, or `ca_file` cannot be read.
        :raises OSError: the account's key cannot be written or read.
        """
        try:
            from morphnet.net.acme import Authority, apart, issue, make_key
        except ImportError:
            raise ConfigError("[acme] needs the package 'acme': pip install 'morphnet[acme]'") from None
        asked = config.acme
        try:
            open(asked.ca_file or "/dev/null", "rb").close()
        except OSError as trouble:
            raise ConfigError(f"'ca_file' of [acme], {asked.ca_file}: {trouble.strerror}") from None
        place = place_of(config.state_dir, asked.directory)
        authority = Authority(asked.directory, account_of(place, make_key), asked.email, asked.ca_file)
        self.door = PlainDoor(asked.names, config.port)
        ask = partial(apart, reactor, partial(issue, authority, asked.names, self.door.show))
        self.renewals = Renewals(reactor, time.time, place / FILE, asked.names, ask)
        self.tls = WebTls(place / FILE, place / FILE, optional=True)
        self.renewals.shown = self.tls.read_again

    def begin(self, node: CoordinatorNode) -> None:
        """Look for the first time; the node is told how that goes."""
        if not self.renewals.good:
            node.state = "getting a certificate"
        self.renewals.said = partial(self._said, node)
        self.renewals.look()

    def _said(self, node: CoordinatorNode, hinders: str) -> None:
        if not hinders:
            node.state = "serving"
            node.tell("certificate", "", "there is a new one")
            return
        good = self.renewals.good
        node.state = f"serving, but no new certificate: {hinders}" if good else f"no certificate: {hinders}"
        node.tell("certificate", "", f"there is no new one: {hinders}")
