"""Home servers and browser clients of the original HomeChannel at this coordinator, when it is told to serve them."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from twisted.internet.interfaces import IReactorTime

from morphnet.config.home import CoordinatorConfig
from morphnet.durable import write_new, write_over
from morphnet.errors import ConfigError, HostError
from morphnet.legacy.homechannel.keys import SigningKey
from morphnet.legacy.homechannel.servers import Servers
from morphnet.legacy.homechannel.signalling import LONGEST, Signalling
from morphnet.net.http import Exchange
from morphnet.rendezvous.home.guesses import Rates, network_of
from morphnet.roles.coordinator.desk import JSON, caller_of
from morphnet.roles.coordinator.pages import WEB
from morphnet.wire.batch import Endpoint

KEYS = ("homechannel-p256", "homechannel")  # names in state_dir, of both generations; .key and .pub as the original's
AGREEMENTS = (20, 0.5)  # of one address at once, and a second
RATES = {"ask": (60, 1.0), "connect": (20, 0.25), "guess": (10, 1 / 60)}  # of one address, or one server
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "86400",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_FRAME = {"Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'"}
_FILES = {"/iframe.html": "text/html; charset=utf-8", "/iframe.js": "text/javascript; charset=utf-8"}


def read_or_make(state_dir: Path) -> tuple[SigningKey, SigningKey]:
    """
    The keys that we sign with for each generation; made when they are missing. The original's own may be put there.

    :raises ConfigError: a file holds no such key.
    :raises HostError: they cannot be made.
    """
    first = _key(state_dir / KEYS[0], lambda: ec.generate_private_key(ec.SECP256R1()))
    second = _key(state_dir / KEYS[1], Ed25519PrivateKey.generate)
    if not isinstance(first, ec.EllipticCurvePrivateKey) or isinstance(second, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{state_dir / KEYS[0]}.key is for P-256, {KEYS[1]}.key for Ed25519 or Ed448")
    return first, second


def _key(stem: Path, make: Callable[[], SigningKey]) -> SigningKey:
    file = stem.with_suffix(".key")
    try:
        if not file.exists():
            pem = make().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            with suppress(FileExistsError):
                write_new(file, pem, mode=0o600)
        found = load_pem_private_key(file.read_bytes(), None)
        if not isinstance(found, (Ed25519PrivateKey, Ed448PrivateKey, ec.EllipticCurvePrivateKey)):
            raise ConfigError(f"{file} holds no key of HomeChannel")
        public = found.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        write_over(stem.with_suffix(".pub"), public)
    except OSError as trouble:
        raise HostError(f"{file}: {trouble.strerror}") from None
    except (ValueError, TypeError):
        raise ConfigError(f"{file} holds no private key in PEM") from None
    return found


class HomeChannel:
    """
    All of it.

    :param tell: takes kind, home and text of what has happened.
    """

    def __init__(self, clock: IReactorTime, config: CoordinatorConfig, tell: Callable[[str, str, str], None]) -> None:
        """:raises ConfigError: and HostError, as `read_or_make`."""
        self._clock, self._config = clock, config
        self._admitted = frozenset(config.legacy.homechannel.homes)
        signers, self._agreements = read_or_make(config.state_dir), Rates(*AGREEMENTS)
        self._rates = {name: Rates(*rate) for name, rate in RATES.items()}
        self._turned: set[str] = set()  # that the operator was told of
        self._tell = tell
        self.servers = Servers(os.urandom, _wall, signers, self._admits, config.max_homes)
        self.servers.told, self.servers.may_agree = self._told, self._may_agree
        self._signalling = Signalling(self.servers, os.urandom, _wall, self._may, self._spend)
        self._files = {path: (WEB / "homechannel" / path[1:]).read_bytes() for path in _FILES}

    def received(self, where: Endpoint, datagram: bytes) -> None:
        """A datagram of a server has come."""
        self.servers.received(where, datagram, self._clock.seconds())

    def expire(self) -> None:
        """Forget what is too old."""
        now = self._clock.seconds()
        self.servers.expire(now)
        self._signalling.expire(now)

    def counters(self) -> dict[str, int]:
        """Ours."""
        counts = Counter[str](self.servers.counts)
        counts.update(self._signalling.counts)
        counts["homechannel_servers"] += len(self.servers)
        return counts

    def _admits(self, name: str) -> bool:
        return self._config.open or name in self._admitted

    def _told(self, name: str, text: str) -> None:
        if "turned away" in text:
            if name in self._turned or len(self._turned) >= 100:
                return  # it comes again and again
            self._turned.add(name)
            text += f": {name[:400]}"
        self._tell("home", name[-10:], text)

    # -- how often -------------------------------------------------------------------------------------------------

    def _may_agree(self, host: str) -> bool:
        now, whose = self._clock.seconds(), network_of(host)
        if self._agreements.wait(whose, now):
            return False
        self._agreements.spend(whose, now)
        return True

    def _may(self, what: str, who: str) -> bool:
        return not self._rates[what].wait(network_of(who), self._clock.seconds())

    def _spend(self, what: str, who: str) -> None:
        self._rates[what].spend(network_of(who), self._clock.seconds())

    # -- browsers --------------------------------------------------------------------------------------------------

    async def answer(self, exchange: Exchange) -> None:
        """One request of a browser client."""
        path, verb = exchange.location, exchange.verb
        if verb == "OPTIONS":
            exchange.answer(200, _CORS)
        elif verb == "GET" and path in _FILES:
            exchange.answer(200, {**_CORS, **_FRAME, "Content-Type": _FILES[path]}, self._files[path])
        elif verb != "POST":
            exchange.answer_json(404, _CORS, {"error": "Not found"}, JSON)
        elif exchange.length is None or exchange.length > LONGEST:
            exchange.answer_json(413, _CORS, {"error": "Request too large"}, JSON)
        else:
            caller, body = caller_of(exchange, proxied=self._config.proxy), await exchange.short_body()
            status, told = self._signalling.asked(path, body, caller, self._clock.seconds())
            exchange.answer_json(status, _CORS, told, JSON)


def _wall() -> int:
    return int(time.time() * 1000)
