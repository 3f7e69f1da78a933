"""
A terminal in the browser as others make it: Jupyter's terminado, a login shell behind a WebSocket.

    python -m tests.bench.rival_terminal

serves on loopback, and prints the port.
"""

from __future__ import annotations

import asyncio
from typing import Any

from terminado.management import UniqueTermManager
from terminado.websocket import TermSocket
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application


class AnyOrigin(TermSocket):
    """It is asked by a page of another port."""

    def check_origin(self, origin: str) -> bool:
        return True


async def serve() -> None:
    """Until it is killed."""
    made: Any = UniqueTermManager(shell_command=["bash", "-l"])
    server = HTTPServer(Application([("/", AnyOrigin, {"term_manager": made})]))
    (listening,) = bind_sockets(0, "127.0.0.1")
    server.add_sockets([listening])
    print(listening.getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
