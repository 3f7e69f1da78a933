"""The settings of an upload server that speaks TLS itself."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class UploadTlsConfig:
    """HTTPS in the place of HTTP, without a proxy."""

    certificate: str = field(
        default="", metadata={"help": "PEM file, the certificate and those above it; empty: plain HTTP, for a proxy"}
    )
    key: str = field(default="", metadata={"help": "PEM file, its key, which nobody else may read"})
