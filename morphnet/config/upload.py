"""The settings of `twistd morph-upload`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

from morphnet.config import checks
from morphnet.config.legacy import local_place
from morphnet.config.manhole import ManholeConfig
from morphnet.config.scan import ScanConfig
from morphnet.config.shared import SharedConfig
from morphnet.config.uploadtls import UploadTlsConfig

UPLOAD_PORT = 8050  # TCP, HTTP for a proxy
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_BASE = re.compile(r"/(?:[\w.~-]+/)*", re.ASCII)
_URL = re.compile(r"https?://(?:[\w.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?/(?:[\w.~-]+/)*", re.ASCII)


def _base(value: str) -> str | None:
    return None if _BASE.fullmatch(value) else "must be a path like /upload/, with a slash at both ends"


def _domain(value: str) -> str | None:
    return None if not value or _DOMAIN.fullmatch(value) else "must be a domain, as upload.example.org"


def _domains(value: tuple[str, ...]) -> str | None:
    return None if all(each and _domain(each) is None for each in value) else "must be domains, as example.org"


def _prefixes(value: tuple[str, ...]) -> str | None:
    try:
        for each in value:
            ip_network(each, strict=False)
    except ValueError:
        return "must be addresses or prefixes, as 127.0.0.1 or 10.0.0.0/8"
    return None


def _place(value: str) -> str | None:
    host, _, port = value.rpartition(":")
    good = host and port.isdigit() and 0 < int(port) < 65536
    return None if good else "must be HOST:PORT, as 127.0.0.1:5347"


def _url(value: str) -> str | None:
    good = not value or _URL.fullmatch(value)
    return None if good else "must be an address like https://example.org/upload/, with a slash at its end"


@dataclass(frozen=True, slots=True)
class ComponentConfig:
    """Slots of its own: morph-upload as a component of an XMPP server (XEP-0114, XEP-0363)."""

    jid: str = field(
        default="", metadata={"check": _domain, "help": "its address, as upload.example.org; empty: no component"}
    )
    server: str = field(
        default="127.0.0.1:5347", metadata={"check": _place, "help": "HOST:PORT where the server lets components in"}
    )
    secret_file: Path = field(
        default=Path("/etc/morphnet/component.secret"),
        metadata={"help": "the component's secret, which the XMPP server has too"},
    )
    hosts: tuple[str, ...] = field(
        default=(),
        metadata={"check": _domains, "help": "domains whose users get slots; empty: the one that `jid` is below"},
    )
    slots_an_hour: int = field(default=600, metadata={"least": 1, "help": "slots that one user may have in an hour"})

    def served(self) -> tuple[str, ...]:
        """The domains whose users get slots."""
        return self.hosts or (self.jid.partition(".")[2],)


@dataclass(frozen=True, slots=True)
class UploadConfig:
    """`twistd morph-upload`."""

    name: str = field(default="upload", metadata={"check": checks.name, "help": "what `morphnet status` calls it"})
    listen: tuple[str, ...] = field(
        default=("127.0.0.1",), metadata={"check": checks.some_addresses, "help": "addresses to serve HTTP on"}
    )
    port: int = field(default=UPLOAD_PORT, metadata={"check": checks.port, "help": "TCP port for HTTP"})
    url: str = field(
        default="",
        metadata={"check": _url, "help": "address under which clients reach `base`, as https://example.org/upload/"},
    )
    base: str = field(
        default="/upload/",
        metadata={"check": _base, "help": "path under which files are, as in the address that the XMPP server gives"},
    )
    secret_file: Path = field(
        default=Path("/etc/morphnet/upload.secret"),
        metadata={"help": "the secret shared with the XMPP server; further lines are old ones that are still good"},
    )
    tokens_file: str = field(
        default="",
        metadata={"help": "tokens of those who upload without XMPP, `NAME TOKEN` a line; empty: nobody does"},
    )
    max_size: int = field(default=1 << 30, metadata={"help": "largest file, bytes"})
    max_append: int = field(
        default=0,
        metadata={"least": 0, "help": "bytes that one request may add, told to those who speak the draft; 0: no limit"},
    )
    min_append: int = field(
        default=0, metadata={"least": 0, "help": "bytes that one request must add, unless they are the last; 0: any"}
    )
    user_quota: int = field(
        default=0, metadata={"least": 0, "help": "bytes that all files of one user may have; 0: no limit"}
    )
    keep_free: int = field(
        default=64 << 20, metadata={"least": 0, "help": "bytes of the disk that uploads leave free: 507 then"}
    )
    partial_hours: float = field(
        default=72.0, metadata={"help": "an upload that nobody went on with for so long is forgotten, hours"}
    )
    keep_days: float = field(
        default=0.0, metadata={"least": 0, "help": "files are deleted after so many days; 0: never"}
    )
    proxies: tuple[str, ...] = field(
        default=("127.0.0.1", "::1"),
        metadata={"check": _prefixes, "help": "addresses whose X-Forwarded-For is believed; nobody else's is"},
    )
    dedup: bool = field(default=True, metadata={"help": "keep files of the same content once, by hard links"})
    idle_s: float = field(default=120.0, metadata={"help": "hang up on a connection silent for so long, seconds"})
    state_dir: Path = field(default=Path("/var/lib/morphnet-upload"), metadata={"help": "files and their records"})
    run_dir: Path = field(default=Path("/run/morphnet-upload"), metadata={"help": "sockets of the running process"})
    metrics: str = field(
        default="",
        metadata={"check": local_place, "help": "127.0.0.1:PORT on which Prometheus reads /metrics; '' for none"},
    )
    component: ComponentConfig = field(default_factory=ComponentConfig)
    scan: ScanConfig = field(default_factory=ScanConfig)
    shared: SharedConfig = field(default_factory=SharedConfig)
    tls: UploadTlsConfig = field(default_factory=UploadTlsConfig)
    manhole: ManholeConfig = field(default_factory=ManholeConfig)
