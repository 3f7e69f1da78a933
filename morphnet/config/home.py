"""The settings of `twistd morph-coordinator` and `twistd morph-home`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from morphnet.config import checks
from morphnet.config.acme import AcmeConfig
from morphnet.config.homechannel import OldBrowsersConfig, OldHomesConfig
from morphnet.config.manhole import ManholeConfig
from morphnet.config.services import PasskeysConfig, TcpConfig, VncConfig, WebConfig

HTTPS_PORT = 443
HOME_PORT = 3478  # UDP, for homes and for STUN
LENT = {"certificate": "certificate.pem", "key": "key.pem"}  # copies in run_dir, for a user who may not read the files
WEBRTC = ("auto", "wrtc", "aiortc")
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?|https?://\[[0-9a-f:.]{2,45}\](:[0-9]{1,5})?")
_USER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}\$?")  # as in useradd(8), and with dots
_SSH = re.compile(
    r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\$?@"
    r"(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_STUN = re.compile(r"stun:[^\s]{1,300}")
_TURN = re.compile(r"turns?:[^\s]{1,300}")


def _key(value: str) -> str | None:
    return None if not value or _KEY.fullmatch(value) else "must be the key that `morphnet coordinator invite` prints"


def _user(value: str) -> str | None:
    return None if not value or _USER.fullmatch(value) else "must be the name of a user"


def _ssh(value: str) -> str | None:
    found = _SSH.fullmatch(value)
    good = not value or (found is not None and 0 < int(found["port"] or 22) < 65536)
    return None if good else "must be USER@HOST or USER@HOST:PORT, as anna@nas.lan"


def _origins(value: tuple[str, ...]) -> str | None:
    good = all(_ORIGIN.fullmatch(each) for each in value)
    return None if good else "must hold sites as browsers name them, like https://page.example or http://127.0.0.1:8090"


def _ice(value: tuple[str, ...]) -> str | None:
    return None if all(_STUN.fullmatch(each) for each in value) else "must hold URLs like stun:stun.example.org:3478"


def _webrtc(value: str) -> str | None:
    return None if value in WEBRTC else f"must be one of {', '.join(WEBRTC)}"


def _turn(value: tuple[str, ...]) -> str | None:
    return None if all(_TURN.fullmatch(each) for each in value) else "must hold URLs like turn:turn.example.org:3478"


@dataclass(frozen=True, slots=True)
class CoordinatorConfig:
    """`twistd morph-coordinator`."""

    name: str = field(default="coordinator", metadata={"check": checks.name, "help": "what `morphnet status` calls it"})
    listen: tuple[str, ...] = field(
        default=("0.0.0.0", "::"), metadata={"check": checks.some_addresses, "help": "addresses to serve on"}
    )
    port: int = field(default=HTTPS_PORT, metadata={"check": checks.port, "help": "TCP port of the page, HTTPS"})
    home_port: int = field(default=HOME_PORT, metadata={"check": checks.port, "help": "UDP port for homes and STUN"})
    certificate: str = field(default="", metadata={"help": "PEM file with the certificate of the page and its chain"})
    key: str = field(default="", metadata={"help": "PEM file with the key of that certificate"})
    plain: bool = field(
        default=False,
        metadata={"help": "serve HTTP without TLS: only for a proxy on this machine that speaks TLS"},
    )
    proxy: bool = field(
        default=False, metadata={"help": "believe the last address in X-Forwarded-For: a proxy writes it"}
    )
    open: bool = field(default=False, metadata={"help": "let any home register, without an invitation"})
    max_homes: int = field(default=100_000, metadata={"help": "homes at once"})
    idle_s: float = field(default=60.0, metadata={"help": "hang up on a connection silent for so long, seconds"})
    pages: tuple[str, ...] = field(
        default=(),
        metadata={
            "check": _origins,
            "help": "sites whose pages may call homes through here as well: where `morphnet home page` serves one",
        },
    )
    relay_pairs: int = field(
        default=64,
        metadata={
            "help": "browsers at once that reach a home through here, four each, where nothing else is left; 0 for none"
        },
    )
    relay_rate: float = field(default=2.5e6, metadata={"help": "bytes a second of each of them, both ways together"})
    redis_url: str = field(
        default="",
        repr=False,  # there may be a password in it
        metadata={
            "check": checks.redis,
            "help": "Redis through which the coordinators behind one name share their homes; '' for one alone",
        },
    )
    state_dir: Path = field(
        default=Path("/var/lib/morphnet-coordinator"), metadata={"help": "its key, and who may come"}
    )
    run_dir: Path = field(
        default=Path("/run/morphnet-coordinator"), metadata={"help": "sockets of the running process"}
    )
    acme: AcmeConfig = field(default_factory=AcmeConfig)
    manhole: ManholeConfig = field(default_factory=ManholeConfig)
    legacy: OldHomesConfig = field(default_factory=OldHomesConfig)


@dataclass(frozen=True, slots=True)
class FilesConfig:
    """Files for browsers."""

    root: str = field(default="", metadata={"help": "directory whose files browsers may see; '' for none"})
    writable: bool = field(default=False, metadata={"help": "let browsers upload, rename and delete"})


@dataclass(frozen=True, slots=True)
class TerminalConfig:
    """Terminals for browsers."""

    enabled: bool = field(default=False, metadata={"help": "let browsers open a login shell"})
    user: str = field(default="", metadata={"help": "whose shell; '' for that of the process"})
    ssh: str = field(
        default="",
        metadata={
            "check": _ssh,
            "help": "USER@HOST[:PORT] to log in to by that user's ssh, in the place of a shell here; '' for none",
        },
    )


@dataclass(frozen=True, slots=True)
class TurnConfig:
    """TURN servers, for browsers whose network lets no UDP out, and pairs of NATs that keep them apart."""

    urls: tuple[str, ...] = field(
        default=(),
        metadata={"check": _turn, "help": "TURN servers for browsers, like turn:turn.example.org:443?transport=tcp"},
    )
    user: str = field(default="", metadata={"help": "user there; '' for names that end in time (use-auth-secret)"})
    secret_file: str = field(default="", metadata={"help": "file with the secret, or with that user's password"})


@dataclass(frozen=True, slots=True)
class HomeConfig:
    """`twistd morph-home`."""

    name: str = field(default="home", metadata={"check": checks.name, "help": "what `morphnet status` calls it"})
    coordinator: str = field(default="", metadata={"check": checks.server, "help": "HOST:PORT of the coordinator, UDP"})
    coordinator_key: str = field(default="", metadata={"check": _key, "help": "its public key"})
    page: str = field(default="", metadata={"help": "address of the page, for the link that is printed"})
    user: str = field(
        default="",
        metadata={"check": _user, "help": "whose files and shells these are: the service of systemd runs as that user"},
    )
    ice: tuple[str, ...] = field(
        default=(), metadata={"check": _ice, "help": "STUN servers besides the coordinator, as URLs"}
    )
    webrtc: str = field(
        default="auto",
        metadata={"check": _webrtc, "help": "make of WebRTC: wrtc or aiortc; 'auto' for wrtc where it is installed"},
    )
    state_dir: Path = field(default=Path("/var/lib/morphnet-home"), metadata={"help": "key and password"})
    run_dir: Path = field(default=Path("/run/morphnet-home"), metadata={"help": "sockets of the running process"})
    files: FilesConfig = field(default_factory=FilesConfig)
    terminal: TerminalConfig = field(default_factory=TerminalConfig)
    vnc: VncConfig = field(default_factory=VncConfig)
    tcp: TcpConfig = field(default_factory=TcpConfig)
    web: WebConfig = field(default_factory=WebConfig)
    passkeys: PasskeysConfig = field(default_factory=PasskeysConfig)
    turn: TurnConfig = field(default_factory=TurnConfig)
    manhole: ManholeConfig = field(default_factory=ManholeConfig)
    legacy: OldBrowsersConfig = field(default_factory=OldBrowsersConfig)
