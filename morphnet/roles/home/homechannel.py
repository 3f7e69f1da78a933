"""This home for browser clients of the original HomeChannel, when it is told to let them in."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from morphnet.config.home import HOME_PORT, HomeConfig
from morphnet.errors import ConfigError, PeerError
from morphnet.legacy.homechannel.home import OldHome
from morphnet.net.rtc import RtcDoor
from morphnet.pki.names import split_address
from morphnet.roles.home.line import Line
from morphnet.roles.home.old_files import OldFiles
from morphnet.roles.home.old_visits import AppFiles, OldVisit, Work

MOST = 16  # connections at once
MAKE = "homechannel"


class _Registration:
    """What a Line needs of a registration."""

    def __init__(self, home: OldHome, now: Callable[[], float]) -> None:
        self._home, self._now = home, now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._home, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "send":
            self._home.send = value
        else:
            super().__setattr__(name, value)

    def received(self, datagram: bytes) -> None:
        self._home.received(datagram, self._now())

    def look(self) -> None:
        self._home.tick(self._now())


class HomeChannelHome:
    """
    All of it.

    :param tell: takes kind, session and text of what has happened.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: HomeConfig,
        identity: Ed25519PrivateKey,
        files: OldFiles,
        work: Work,
        tell: Callable[[str, str, str], None],
    ) -> None:
        """:raises ConfigError: something is missing."""
        old = config.legacy.homechannel
        if not (old.coordinator and old.coordinator_key and old.password_file and old.app):
            raise ConfigError("legacy.homechannel: coordinator, coordinator_key, password_file and app are needed")
        try:
            password = Path(old.password_file).read_text().strip("\r\n")
        except (OSError, ValueError):
            raise ConfigError(f"legacy.homechannel: cannot read {old.password_file}") from None
        self._reactor, self._files, self._work, self._tell = reactor, files, work, tell
        self._app = AppFiles.read(Path(old.app))
        self._home = OldHome(os.urandom, lambda: int(time.time() * 1000), identity, password, old.coordinator_key)
        self._home.offered = self._offered
        host, port = split_address(old.coordinator, HOME_PORT)
        registration: Any = _Registration(self._home, reactor.seconds)
        self._line = Line(reactor, host, port, registration)
        self._rtc = RtcDoor(MAKE, (f"stun:{host}:{port}", *config.ice), reactor)
        self.counts: Counter[str] = Counter()
        self.name = self._home.name

    def tick(self) -> None:
        """Do what is due; once a second."""
        self._home.tick(self._reactor.seconds())

    def look_up(self) -> None:
        """Ask for the coordinator's address."""
        self._line.look_up()

    def counters(self) -> Counter[str]:
        """Ours."""
        return self._home.counts + self.counts

    def _offered(self, session: str, payload: dict[str, Any]) -> None:
        if len(self._rtc) >= MOST:
            return
        answering = Deferred.fromCoroutine(self._answer(session, payload))
        answering.addErrback(lambda failure: self._log.failure("an old browser was not answered", failure))

    async def _answer(self, session: str, payload: dict[str, Any]) -> None:
        offer = whole_offer(payload)
        if not offer:
            return
        visit = OldVisit(self._app, self._files, self._work, lambda text: self._tell("access", session[:8], text))
        try:
            answer = await self._rtc.answer(offer, visit)
        except PeerError:
            return
        self._tell("login", session[:8], "an old browser has logged in")
        self._home.answer(session, {"sdp": {"type": "answer", "sdp": answer}, "candidates": candidates(answer)})

    def close(self) -> Deferred[None]:
        """No more of it."""
        self._line.close()
        return self._rtc.close()


def whole_offer(payload: dict[str, Any]) -> str:
    """An offer as SDP, with the candidates that come beside it; "" for what is none."""
    described, beside = payload.get("sdp"), payload.get("candidates")
    offer = described.get("sdp") if isinstance(described, dict) else None
    if not isinstance(offer, str):
        return ""
    if "a=candidate:" in offer or not isinstance(beside, list):
        return offer
    lines = [each.get("candidate") for each in beside if isinstance(each, dict)]
    good = [each for each in lines if isinstance(each, str) and each.startswith("candidate:") and each.isprintable()]
    return offer.rstrip("\r\n") + "\r\n" + "".join(f"a={each}\r\n" for each in good)


def candidates(answer: str) -> list[dict[str, Any]]:
    """Those of an answer, as browsers take them."""
    lines = answer.splitlines()
    mid = next((line.removeprefix("a=mid:") for line in lines if line.startswith("a=mid:")), "0")
    found = dict.fromkeys(line[2:] for line in lines if line.startswith("a=candidate:"))
    return [{"candidate": each, "sdpMLineIndex": 0, "sdpMid": mid} for each in found]
