"""A real CA that speaks ACME, for tests: Let's Encrypt's own for that, pebble, with its server of made-up names."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.ports import free_port

PEBBLE, NAMES = shutil.which("pebble"), shutil.which("pebble-challtestsrv")
WITHOUT = None if PEBBLE and NAMES else "no pebble here (Debian package pebble)"


class Pebble:
    """
    One: every name that it asks for is 127.0.0.1.

    :param looks_at: TCP port there that stands for 80.
    :param lasts: seconds of a certificate.
    :ivar url: of its directory.
    :ivar ca_file: who vouches for that.
    """

    def __init__(self, looks_at: int, lasts: int = 7776000) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="morphnet-pebble-"))
        self.ca_file = self.directory / "ca.pem"
        key = self.directory / "key.pem"
        words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=pebble"
        words += f" -addext subjectAltName=IP:127.0.0.1 -out {self.ca_file} -keyout {key}"
        subprocess.run(words.split(), check=True, capture_output=True)
        self._port, self._names = free_port(), free_port()
        told = {
            "listenAddress": f"127.0.0.1:{self._port}",
            "managementListenAddress": f"127.0.0.1:{free_port()}",
        }
        told |= {"certificate": str(self.ca_file), "privateKey": str(key), "ocspResponderURL": ""}
        more = {"httpPort": looks_at, "tlsPort": free_port(), "certificateValidityPeriod": lasts}
        (self.directory / "config.json").write_text(json.dumps({"pebble": {**told, **more}}))
        self.url = f"https://127.0.0.1:{self._port}/dir"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """:raises AssertionError: it does not answer within 20 s."""
        assert PEBBLE is not None and NAMES is not None  # the tests are skipped else
        silent = [f"-{each}=" for each in ("http01", "https01", "tlsalpn01", "defaultIPv6")]
        management = f"-management=127.0.0.1:{free_port()}"
        names = [NAMES, f"-dns01=127.0.0.1:{self._names}", "-defaultIPv4=127.0.0.1", management, *silent]
        words = [PEBBLE, "-strict", "-config", str(self.directory / "config.json")]
        words += ["-dnsserver", f"127.0.0.1:{self._names}"]
        with (self.directory / "log").open("wb") as log:
            for each in (names, words):
                environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
                self._processes.append(subprocess.Popen(each, stdout=log, stderr=log, env=environment))
        trusted = ssl.create_default_context(cafile=str(self.ca_file))
        for _ in range(200):
            try:
                urllib.request.urlopen(self.url, context=trusted, timeout=5).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise AssertionError((self.directory / "log").read_text())

    def end(self) -> None:
        """No more of it."""
        for each in self._processes:
            each.kill()
            each.wait()
        shutil.rmtree(self.directory)
