"""What the head of a request says."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

from twisted.web import http

_ABSOLUTE = re.compile(r"https?://[^/?]*", re.ASCII | re.IGNORECASE)


class Head(http.Request):
    """A request whose head is read."""

    @property
    def headers(self) -> dict[str, str]:
        """Names in lower case; of those that came twice the last."""
        raw = self.requestHeaders.getAllRawHeaders()
        return {name.decode("latin-1").lower(): values[-1].decode("utf-8", "replace") for name, values in raw}

    @property
    def peer(self) -> str:
        """The address of who has called; "" where there is none."""
        return str(getattr(self.getClientAddress(), "host", ""))

    @property
    def verb(self) -> str:
        """The method, in upper case."""
        return str(self.method.decode("latin-1").upper())

    @property
    def target(self) -> str:
        """Path and query as they came; of a whole URL (RFC 9112 section 3.2.2) what follows the host."""
        said = str(self.uri.decode("latin-1"))
        return _ABSOLUTE.sub("", said, count=1) if _ABSOLUTE.match(said) else said

    @property
    def location(self) -> str:
        """The decoded path."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> dict[str, str]:
        """What stands behind the question mark; of names that come twice the first."""
        pairs = parse_qsl(self.target.partition("?")[2], keep_blank_values=True, max_num_fields=32)
        return dict(reversed(pairs))

    @property
    def knows_interim(self) -> bool:
        """Whether its client knows of answers before the last one: HTTP/1.0 has none."""
        return bool(self.clientproto == b"HTTP/1.1")

    @property
    def expects(self) -> bool:
        """Whether its client sends no body before it is told to (RFC 9110 section 10.1.1), or some seconds are over."""
        said = self.requestHeaders.getRawHeaders(b"expect") or [b""]
        return self.knows_interim and said[0].lower() == b"100-continue"
