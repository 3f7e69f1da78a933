"""The certificate of an upload server that speaks TLS itself, read again when its files have changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from twisted.internet.interfaces import IProtocolFactory

from morphnet.config.uploadtls import UploadTlsConfig
from morphnet.errors import ConfigError
from morphnet.net.webtls import WebTls

LOOK_EVERY = 1.0  # seconds between looks at the files
_Stamp = tuple[int, int, int]  # of a file: its number, its size, and when it was changed, ns


class Certificate:
    """
    Connections that are open go on with what they began with.

    :raises ConfigError: there is no certificate and its key in these files, or others may read the key.
    """

    def __init__(self, config: UploadTlsConfig) -> None:
        if not config.certificate or not config.key:
            raise ConfigError("tls.certificate and tls.key: the one needs the other")
        self._files = Path(config.certificate), Path(config.key)
        self._read: tuple[_Stamp, ...] = ()
        self._seen: tuple[_Stamp, ...] = ()
        self._check()
        self._seen = self._read = self._stamps()
        self._tls = WebTls(*self._files)

    def wrap(self, factory: IProtocolFactory) -> IProtocolFactory:
        """The factory, in TLS."""
        return self._tls.wrap(factory)

    def read_again(self) -> None:
        """
        Show what is there now.

        :raises ConfigError: as before; then the old one stays.
        """
        self._read = self._stamps()  # or the same would be wrong again at each look
        self._check()
        self._tls.read_again()

    def look(self, tell: Callable[[str], None]) -> None:
        """
        Read it if its files have changed, and are the same for two looks: who renews it writes one after the other.

        :param tell: what is wrong with what is there now, or "" when it was read.
        """
        before, self._seen = self._seen, self._stamps()
        if self._seen == self._read or self._seen != before:
            return
        try:
            self.read_again()
        except ConfigError as problem:
            tell(str(problem))
        else:
            tell("")

    def _stamps(self) -> tuple[_Stamp, ...]:
        return tuple(self._stamp(each) for each in self._files)

    @staticmethod
    def _stamp(file: Path) -> _Stamp:
        try:
            about = file.stat()
        except OSError:
            return (0, 0, 0)
        return (about.st_ino, about.st_size, about.st_ctime_ns)

    def _check(self) -> None:
        for setting, file, closed in zip(("certificate", "key"), self._files, (0o002, 0o027), strict=True):
            try:
                with file.open("rb") as opened:
                    mode = os.fstat(opened.fileno()).st_mode
            except OSError as problem:
                raise ConfigError(f"tls.{setting}: {file}: {(problem.strerror or str(problem)).lower()}") from None
            if mode & closed:
                what = "read or write" if setting == "key" else "write"
                raise ConfigError(f"tls.{setting}: others may {what} {file}: chmod 600 it")
