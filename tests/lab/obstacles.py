"""What stands between a client and its server: UDP that does not pass, or loses; a portal; a web server on 443."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from morphnet.lab.box import Box, BoxNode
from morphnet.lab.vpn import SERVER_NAME, Daemon, wait_for

# UDP that a router should forward vanishes, or passes again.
_UDP = """
import sys
from pyroute2 import IPRoute
with IPRoute() as ip:
    ip.rule(sys.argv[1], priority=10, ip_proto=17, action="blackhole")
"""
_LOSES = "meta l4proto udp numgen random mod 100 < {percent} drop"

NGINX = Path("/usr/sbin/nginx")
BARE = 444  # the same web server without us
_NGINX = """
daemon off; worker_processes 1; pid {place}/nginx.pid; error_log {place}/error.log; user root;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {place}/a; proxy_temp_path {place}/b; fastcgi_temp_path {place}/c;
  uwsgi_temp_path {place}/d; scgi_temp_path {place}/e;
  server {{
    listen 443 ssl;
    ssl_certificate {pki}/{name}.pem;
    ssl_certificate_key {pki}/{name}.key;
    ssl_protocols TLSv1.3;
    ssl_verify_client optional_no_ca;
    root {place}/site;
    location = /morphnet {{
      error_page 400 401 403 404 405 408 411 413 418 426 429 500 501 502 503 504 505 = @site;
      if ($ssl_client_verify = NONE) {{ return 418; }}
      if ($request_method != GET) {{ return 418; }}
      if ($http_upgrade !~* ^websocket$) {{ return 418; }}
      if ($http_sec_websocket_protocol != morphnet.stream.1) {{ return 418; }}
      if ($http_content_length$http_transfer_encoding != "") {{ return 418; }}
      proxy_intercept_errors on;
      proxy_pass http://127.0.0.1:8081;
      proxy_http_version 1.1;
      proxy_read_timeout 120s;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
    location @site {{ }}
  }}
  server {{
    listen {bare} ssl;
    ssl_certificate {pki}/{name}.pem;
    ssl_certificate_key {pki}/{name}.key;
    ssl_protocols TLSv1.3;
    ssl_verify_client optional_no_ca;
    root {place}/site;
  }}
}}
"""


@contextlib.contextmanager
def without_udp(box: Box, router: str = "isp") -> Iterator[None]:
    """None passes there meanwhile."""
    node = box.node(router)
    node.run([sys.executable, "-c", _UDP, "add"], check=True)
    try:
        yield
    finally:
        node.run([sys.executable, "-c", _UDP, "del"], check=True)


@contextlib.contextmanager
def udp_loses(box: Box, percent: int) -> Iterator[None]:
    """So much of it is lost meanwhile, in each direction."""
    isp = box.node("isp")
    isp.run(
        ["nft", "add table inet lossy; add chain inet lossy f { type filter hook forward priority 0; }"], check=True
    )
    isp.run(["nft", f"add rule inet lossy f {_LOSES.format(percent=percent)}"], check=True)
    try:
        yield
    finally:
        isp.run(["nft", "delete table inet lossy"], check=True)


def portal_at(node: BoxNode, said: Path, *words: str) -> subprocess.Popen[str]:
    """
    A DNS server that knows one address, and with ports a portal, see tests/lab/portal; it has begun.

    :param said: a file for what it learns.
    :param words: the address, and ports.
    """
    with said.open("w") as out:
        process: subprocess.Popen[str] = node.popen(
            [sys.executable, "-m", "tests.lab.portal", *words], stdout=out, text=True
        )
    wait_for(f"the portal at {node.name} answers", lambda: "ready" in said.read_text())
    return process


@contextlib.contextmanager
def nginx_before(server: Daemon) -> Iterator[None]:
    """
    A web server has TCP 443 of the gateway, with its certificate, and hands on what is for it, as in the docs; at BARE
    it does not.
    """
    place = server.dir / "nginx"
    (place / "site").mkdir(parents=True)
    (place / "site" / "index.html").write_text("<p>Bread, baked since 1957.</p>\n")
    (place / "conf").write_text(_NGINX.format(place=place, pki=server.etc / "pki", name=SERVER_NAME, bare=BARE))
    with (place / "out").open("w") as out:
        process = server.node.popen([str(NGINX), "-c", str(place / "conf")], stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        process.wait(5)
