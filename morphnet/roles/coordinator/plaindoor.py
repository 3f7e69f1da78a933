"""What is said without TLS: to a CA what it looks for, to everybody else where the page is."""

from __future__ import annotations

from collections.abc import Sequence

from morphnet.net.http import Exchange

WHERE = "/.well-known/acme-challenge/"
MOST = 100  # answers that are remembered


class PlainDoor:
    """
    :param names: of the page, the first one for who asks for none of them.
    :param port: of the page.
    """

    def __init__(self, names: Sequence[str], port: int) -> None:
        self._names = names
        self._behind = "" if port == 443 else f":{port}"
        self._answers: dict[str, bytes] = {}

    def show(self, token: str, said: bytes) -> None:
        """Say that to who asks for the token. By any thread."""
        while len(self._answers) >= MOST:
            self._answers.pop(next(iter(self._answers)))
        self._answers[token] = said

    async def answer(self, exchange: Exchange) -> None:
        """One request."""
        path, verb = exchange.location, exchange.verb
        if verb not in ("GET", "HEAD"):
            exchange.answer(405, {"Allow": "GET, HEAD"})
            return
        if path.startswith(WHERE):
            said = self._answers.get(path.removeprefix(WHERE))
            if said is None:
                exchange.answer(404, {})
            else:
                exchange.answer(200, {"Content-Type": "application/octet-stream"}, said)
            return
        asked = exchange.headers.get("host", "").partition(":")[0].lower()
        name = asked if asked in self._names else self._names[0]
        there = exchange.target if exchange.target.startswith("/") else "/"
        exchange.answer(308, {"Location": f"https://{name}{self._behind}{there}"})
