"""Prosody and ejabberd from Debian in a node of the lab, on loopback, each with directories of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from morphnet.lab.box import BoxNode, environment
from morphnet.lab.vpn import wait_for
from tests.lab.nginx import listens

PROSODY, EJABBERD = shutil.which("prosody"), shutil.which("ejabberdctl", path="/usr/sbin:/usr/bin")
XMPP_PORT, COMPONENT_PORT, PASSWORD = 5222, 5347, "pw"
MODULES = "/usr/lib/prosody/modules"  # where Debian has those of prosody-modules

_PROSODY = """
run_as_root = true
pidfile = "{dir}/prosody.pid"
data_path = "{dir}/data"
plugin_paths = {{ "{modules}" }}
modules_enabled = {{ "roster", "saslauth", "disco", "ping" }}
modules_disabled = {{ "s2s", "tls", "http" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
component_ports = {{ {components} }}
http_ports = {{ }}
https_ports = {{ }}
authentication = "internal_hashed"
allow_unencrypted_plain_auth = true
c2s_require_encryption = false
s2s_require_encryption = false
log = {{ info = "{dir}/prosody.log" }}
"""
_HOST = """
VirtualHost "{name}.localhost"
    disco_items = {{ {{ "up-{name}.localhost" }} }}
Component "up-{name}.localhost" "{module}"
"""


def every_slot(base: str, secret: str) -> tuple[str, tuple[str, ...]]:
    """Settings of Prosody with a host for each kind of slot, and the hosts."""
    text = ""
    for name, version in (("v1", "v1"), ("v2", "v2")):
        text += _HOST.format(name=name, module="http_upload_external")
        text += f'    http_upload_external_base_url = "{base}"\n    http_upload_external_secret = "{secret}"\n'
        text += f'    http_upload_external_protocol = "{version}"\n'
    text += _HOST.format(name="jwt", module="http_file_share")
    text += f'    http_file_share_base_url = "{base}"\n    http_file_share_secret = "{secret}"\n'
    return text, ("v1.localhost", "v2.localhost", "jwt.localhost")


class Prosody:
    """
    A server with an account `alice` at each host.

    :param text: settings of the hosts and their components.
    """

    port = XMPP_PORT

    def __init__(self, node: BoxNode, text: str, hosts: Sequence[str]) -> None:
        self._node, self._dir, self._hosts = node, Path(node.dir) / "prosody", hosts
        (self._dir / "data").mkdir(parents=True)
        self._config = self._dir / "prosody.cfg.lua"
        self._config.write_text(
            _PROSODY.format(dir=self._dir, port=self.port, modules=MODULES, components=COMPONENT_PORT) + text
        )
        self._process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        """Until it answers."""
        for host in self._hosts:
            words = ["prosodyctl", "--root", "--config", str(self._config), "register", "alice", host]
            done = self._node.run([*words, PASSWORD])
            assert not done.returncode, done.stdout + done.stderr
        with (self._dir / "out").open("w") as out:
            words = [str(PROSODY), "--root", "--config", str(self._config), "-F"]
            self._process = self._node.popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_for("Prosody listens", lambda: listens(self._node, self.port))

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)


_EJABBERD = """
hosts: [localhost]
loglevel: 4
listen:
  - {{port: {port}, ip: "127.0.0.1", module: ejabberd_c2s, starttls: false, starttls_required: false}}
{listen}
auth_method: internal
auth_password_format: plain
acl: {{local: {{user_regexp: ""}}}}
access_rules: {{c2s: [allow], local: [allow]}}
modules:
  mod_disco: {{}}
"""
EJABBERD_SLOTS = """\
  mod_http_upload:
    put_url: "{base}"
    get_url: "{base}"
    external_secret: "{secret}"
"""


class Ejabberd:
    """
    A server with an account `alice` at localhost.

    :param modules: settings below `modules:`.
    :param listen: one more line below `listen:`.
    """

    port = XMPP_PORT + 1

    def __init__(self, node: BoxNode, modules: str, listen: str = "") -> None:
        self._node, self._dir = node, Path(node.dir) / "ejabberd"
        for name in ("spool", "logs", "conf"):
            (self._dir / name).mkdir(parents=True)
        conf = self._dir / "conf"
        (conf / "ejabberdctl.cfg").write_text("")  # Debian's would name another configuration
        (conf / "ejabberd.yml").write_text(_EJABBERD.format(port=self.port, listen=listen) + modules)
        # Debian's becomes the user ejabberd, who may not see a directory of the lab.
        script = self._dir / "ejabberdctl"
        script.write_text(Path(str(EJABBERD)).read_text().replace("\nINSTALLUSER=ejabberd\n", "\nINSTALLUSER=\n"))
        script.chmod(0o700)
        words = ["--config-dir", str(conf), "--node", "morphtest@localhost", "--logs", str(self._dir / "logs")]
        self._command = [str(script), *words, "--spool", str(self._dir / "spool")]
        self._environment = {**environment(), "INET_DIST_INTERFACE": "127.0.0.1", "ERL_EPMD_ADDRESS": "127.0.0.1"}
        self._environment["HOME"] = str(self._dir)

    def start(self) -> None:
        """Until it answers."""
        with (self._dir / "out").open("w") as out:
            self._node.popen(
                [*self._command, "foreground"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self._environment,
                start_new_session=True,
            )
        wait_for("ejabberd listens", lambda: listens(self._node, self.port), 60.0)
        done = self._node.run([*self._command, "register", "alice", "localhost", PASSWORD], env=self._environment)
        assert not done.returncode, done.stdout + done.stderr


def by_slixmpp(node: BoxNode, jid: str, port: int, file: Path, kind: str, *more: str) -> dict[str, Any]:
    """What a real client comes to: it uploads a file, or asks for a slot."""
    words = [sys.executable, "-m", "tests.lab.xmpp_upload", jid, PASSWORD, str(port), str(file), kind, *more]
    done = node.run(words, timeout=60.0)
    assert not done.returncode, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
