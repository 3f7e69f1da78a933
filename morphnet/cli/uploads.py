"""`morphnet upload`: send a file, or make an upload server and look at it."""

from __future__ import annotations

import secrets
import time
from urllib.parse import urlsplit

import click

from morphnet.cli import Commands
from morphnet.cli.layout import Place, dir_option
from morphnet.cli.live import NOT_WELL, columns_of, console_of, picture, print_json
from morphnet.cli.running import role_here
from morphnet.config.file import render
from morphnet.config.upload import UPLOAD_PORT, UploadConfig
from morphnet.durable import make_directory, write_new
from morphnet.errors import ConfigError

SECRET, TOKENS = "upload.secret", "upload.tokens"  # beside upload.toml

PROSODY = """\
Component "upload.{host}" "http_file_share"
    http_file_share_base_url = "{url}"
    http_file_share_secret = "{secret}"
    http_file_share_size_limit = {most}
"""
EJABBERD = """\
  mod_http_upload:
    put_url: "{url}"
    get_url: "{url}"
    external_secret: "{secret}"
    max_size: {most}
"""


class _WithFile(Commands):
    """What is none of the commands is a file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As the command `send`, whose name is left away."""
        if args and args[0] not in (*self.homes, "--help"):
            args = ["send", *args]
        return super().parse_args(ctx, args)


upload = _WithFile(
    "upload",
    {
        "send": "morphnet.cli.upload:upload",
        "init": "morphnet.cli.uploads:init",
        "status": "morphnet.cli.uploads:status",
    },
    "Send a file (`morphnet upload FILE`), or make an upload server and look at it.",
)


@click.command()
@click.option("--url", required=True, help="Address under which clients will reach it, as https://example.org/upload/.")
@click.option("--port", default=UPLOAD_PORT, show_default=True, help="TCP port on 127.0.0.1, for the proxy.")
@dir_option
def init(url: str, port: int, place: Place) -> None:
    """Make an upload server, with a secret of its own, and print what the XMPP server and the proxy need."""
    url = url if url.endswith("/") else f"{url}/"
    if place.upload_toml.exists():
        raise ConfigError(f"{place.upload_toml} is there already")
    settings = {
        "port": port,
        "url": url,
        "base": urlsplit(url).path,
        "secret_file": place.root / SECRET,
        "state_dir": place.state_of("upload"),
        "run_dir": place.run_of("upload"),
        "manhole": {"authorized_keys": place.authorized_keys},
    }
    text = render(UploadConfig, settings, intro="morphnet upload server: `morphnet up upload`").encode()
    for directory in (place.root, place.state_of("upload")):
        make_directory(directory)
    secret = secrets.token_hex(32)
    write_new(place.root / SECRET, f"{secret}\n".encode(), mode=0o600)
    write_new(place.upload_toml, text)
    _tell_next(place, url, secret, port)


def _tell_next(place: Place, url: str, secret: str, port: int) -> None:
    host, most = urlsplit(url).hostname or "", UploadConfig().max_size  # they would refuse more than 10 and 100 MB
    prosody = PROSODY.format(host=host, url=url, secret=secret, most=most)
    ejabberd = EJABBERD.format(url=url.rstrip("/"), secret=secret, most=most)
    click.echo(f"Made {place.upload_toml} and {place.root / SECRET}. Start it: morphnet up upload{place.option()}")
    click.echo(f"\nProsody, at the end of prosody.cfg.lua:\n\n{prosody}")
    click.echo(f"or ejabberd, below `modules:`\n\n{ejabberd}")
    click.echo(f"and nginx, in the server of {host}:\n\n{nginx(urlsplit(url).path, port)}", nl=False)


def nginx(base: str, port: int) -> str:
    """What a proxy needs: all that it would do with bodies is turned off."""
    lines = (
        f"proxy_pass http://127.0.0.1:{port};",
        "proxy_http_version 1.1;",
        "proxy_request_buffering off;",
        "client_max_body_size 0;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_read_timeout 150s;",
        "proxy_send_timeout 150s;",
        "proxy_max_temp_file_size 0;",
    )
    return f"location {base} {{\n" + "".join(f"    {each}\n" for each in lines) + "}\n"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
@dir_option
def status(as_json: bool, place: Place) -> None:
    """
    The upload server that runs here, also beside others of morphnet's.

    Exit code: 0 when it serves, 3 when it does not, 1 when it does not answer.
    """
    node = role_here(place, "upload", lenient=True).status()
    if as_json:
        print_json(node)
    else:
        console = console_of()
        console.print(picture(node, time.time(), columns_of(console)), soft_wrap=True)
    raise SystemExit(0 if node.well else NOT_WELL)
