"""`twistd morph-upload`: options, and what they start."""

from __future__ import annotations

from pathlib import Path

from twisted.application.service import IService
from twisted.internet import reactor

from morphnet.config.upload import UploadConfig
from morphnet.roles.upload.process import UploadProcess
from morphnet.tap.options import Begin, ConfigOptions, options_for

_BEGIN = Begin(("secret_file",), "give --secret-file, with the secret that the XMPP server has too; see docs/upload.md")
Options = options_for(UploadConfig, Path("/etc/morphnet/upload.toml"), _BEGIN)


def makeService(options: ConfigOptions[UploadConfig]) -> IService:
    """Open nothing yet: twistd may still fork."""
    return UploadProcess(options.config, reactor, options.read)
