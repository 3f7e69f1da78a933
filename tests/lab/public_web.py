"""A web server of a site that has a name and a certificate which the machines of the box trust, in front of ours."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from morphnet.lab.box import BoxNode
from morphnet.lab.vpn import Daemon
from tests.lab.obstacles import BARE, NGINX

NAME, PATH, PORT = "bread.example", "/morphnet", 8082
MACHINES_LIST = "/etc/ssl/certs/ca-certificates.crt"
_SITE = """
    ssl_certificate {place}/public.pem;
    ssl_certificate_key {place}/public.key;
    root {place}/site;
"""
_NGINX = """
daemon off; worker_processes 1; pid {place}/nginx.pid; error_log {place}/error.log; user root;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {place}/a; proxy_temp_path {place}/b; fastcgi_temp_path {place}/c;
  uwsgi_temp_path {place}/d; scgi_temp_path {place}/e;
  server {{
    listen 443 ssl;
    {site}
    location = {path} {{
      error_page 400 401 403 404 405 408 411 413 418 426 429 500 501 502 503 504 505 = @site;
      if ($request_method != GET) {{ return 418; }}
      if ($http_upgrade !~* ^websocket$) {{ return 418; }}
      if ($http_sec_websocket_protocol != morphnet.web.1) {{ return 418; }}
      if ($http_content_length$http_transfer_encoding != "") {{ return 418; }}
      proxy_intercept_errors on;
      proxy_pass http://127.0.0.1:{port};
      proxy_http_version 1.1;
      proxy_read_timeout 120s;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
    location @site {{ }}
  }}
  server {{
    listen {bare} ssl;
    {site}
  }}
}}
"""


def _issue(place: Path) -> Path:
    """A CA's certificate, after it has signed the site's."""
    now, root_key = datetime.datetime.now(datetime.UTC), generate_private_key(SECP256R1())
    key = rsa.generate_private_key(65537, 2048)  # whose signatures are all of one length
    root, site = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Public Root", NAME))

    def begun(name: x509.Name) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(root).serial_number(7)
        return builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(30))

    ca = begun(root).public_key(root_key.public_key())
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    shown = begun(site).public_key(key.public_key())
    shown = shown.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
    (place / "public.pem").write_bytes(shown.sign(root_key, SHA256()).public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (place / "public.key").write_bytes(secret)
    (place / "root.pem").write_bytes(ca.sign(root_key, SHA256()).public_bytes(Encoding.PEM))
    return place / "root.pem"


def trust(node: BoxNode, root: Path) -> None:
    """That CA is in the list of the machine."""
    node.run(["mount", "--bind", str(root), MACHINES_LIST], check=True)


@contextlib.contextmanager
def web_server(server: Daemon) -> Iterator[Path]:
    """
    It has TCP 443 of the gateway, and hands on what is for it, as in the docs; at BARE it does not.

    :returns: the certificate of the CA that has signed its own.
    """
    place = server.dir / "web"
    (place / "site").mkdir(parents=True)
    (place / "site" / "index.html").write_text("<p>Bread, baked since 1957.</p>\n")
    root, site = _issue(place), _SITE.format(place=place)
    (place / "conf").write_text(_NGINX.format(place=place, site=site, path=PATH, port=PORT, bare=BARE))
    with (place / "out").open("w") as out:
        process = server.node.popen([str(NGINX), "-c", str(place / "conf")], stdout=out, stderr=out)
    try:
        yield root
    finally:
        process.terminate()
        process.wait(5)
