"""The `morphnet` command: enrolment, certificates, and a look at what runs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from morphnet import __version__
from morphnet.errors import BugError, MorphnetError
from morphnet.text import printable

# Imported when they are asked for, so that `morphnet --help` does not wait for Twisted.
_HOMES = {
    "init": "morphnet.cli.enrol:init",
    "invite": "morphnet.cli.enrol:invite",
    "join": "morphnet.cli.enrol:join",
    "revoke": "morphnet.cli.phones:revoke",
    "phones": "morphnet.cli.phones:phones",
    "up": "morphnet.cli.updown:up",
    "down": "morphnet.cli.updown:down",
    "restart": "morphnet.cli.updown:restart",
    "set": "morphnet.cli.setting:set_",
    "pki": "morphnet.cli.pki:pki",
    "policy": "morphnet.cli.policy:policy",
    "backup": "morphnet.cli.backup:backup",
    "restore": "morphnet.cli.backup:restore",
    "status": "morphnet.cli.live:status",
    "reload": "morphnet.cli.live:reload",
    "uplink": "morphnet.cli.uplink:uplink",
    "traffic": "morphnet.cli.traffic:traffic",
    "routes": "morphnet.cli.routes:routes",
    "events": "morphnet.cli.events:events",
    "why": "morphnet.cli.peers:why",
    "ping": "morphnet.cli.peers:ping",
    "netcheck": "morphnet.cli.peers:netcheck",
    "console": "morphnet.cli.console:console",
    "wrap": "morphnet.cli.wrap:wrap",
    "unwrap": "morphnet.cli.wrap:unwrap",
    "leave": "morphnet.cli.leaving:leave",
    "coordinator": "morphnet.cli.coordinator:coordinator",
    "home": "morphnet.cli.home:home",
    "bench": "morphnet.cli.bench:bench",
    "upload": "morphnet.cli.uploads:upload",
    "doctor": "morphnet.cli.doctor:doctor",
}

LONGEST_HELP = 1000  # characters of the sentence about a command: click cuts it off there


class Commands(click.Group):
    """A group whose commands live elsewhere, and whose errors are one sentence and exit code 1."""

    def __init__(self, name: str, homes: Mapping[str, str], text: str, **more: Any) -> None:
        super().__init__(name, help=text, **more)
        self.homes = homes

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which one needs them."""
        return [name for name in self.homes if self.get_command(ctx, name) is not None]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each with its first sentence, the whole of it."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(LONGEST_HELP)) for name, each in found if each])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None when this installation lacks it."""
        module, _, attribute = self.homes.get(cmd_name, "").partition(":")
        if not module:
            return None
        try:
            found: click.Command = getattr(import_module(module), attribute)
        except ModuleNotFoundError as missing:
            if missing.name != module:
                raise
            return None
        return found

    def invoke(self, ctx: click.Context) -> object:
        """Run, and turn what an operator can put right into one sentence."""
        try:
            return super().invoke(ctx)
        except BugError:
            raise
        except MorphnetError as trouble:
            raise click.ClickException(printable(str(trouble))) from None
        except BrokenPipeError:
            raise
        except OSError as trouble:
            where = f"{trouble.filename}: " if trouble.filename else ""
            raise click.ClickException(printable(f"{where}{trouble.strerror or trouble}")) from None


commands = Commands("morphnet", _HOMES, "Connections that survive the network.")
commands = click.version_option(__version__, prog_name="morphnet")(commands)


def main() -> None:
    """The console script."""
    commands(prog_name="morphnet")
