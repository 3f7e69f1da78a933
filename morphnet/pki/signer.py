"""
The signer: a process that reads one request from its standard input, answers on its standard output, and ends.

Only here, and in commands that root types, is the CA's key in anybody's memory: for as long as one signature takes. A
process that listens to the network starts one for each, or, where it may not read the key itself, connects to a socket
behind which systemd starts one (tap/systemd/morph-signer.socket).

    {"ask": "join", "shown": PEM, "csr": PEM, "addresses": [...]}       -> {"certificate": PEM}
    {"ask": "renew", "shown": PEM, "csr": PEM, "addresses": [...]}      -> {"certificate": PEM}
    {"ask": "revocations", "number": N, "at": S, "recent": {...}, "parts": {...}, "vouched": PEM}  -> {"crl": PEM, ...}

Each may be answered by {"refused": REASON}, what was asked is wrong, or {"trouble": SENTENCE}, for the operator.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from morphnet.errors import MorphnetError, Refused
from morphnet.pki.book import Book
from morphnet.pki.files import trusted_cas
from morphnet.pki.policy import read_published
from morphnet.pki.revocations import Draft
from morphnet.pki.rotation import load_authorities
from morphnet.pki.signing import Signer

LATEST = 253402300800  # Unix seconds: the year 10000
LIFETIME = 20  # seconds for one signature, on a machine that has other things to do
LONGEST = 64 << 20  # bytes of a request: a list of revocations, with all its parts


def answer(request: bytes, signer: Callable[[], Signer]) -> dict[str, Any]:
    """
    What comes of a request, whatever it is.

    :param signer: may raise what makes a trouble.
    """
    try:
        asked = json.loads(request)
        if not isinstance(asked, dict):
            raise Refused("request that is no object")
        return _act(asked, signer())
    except Refused as refused:
        return {"refused": refused.reason}
    except MorphnetError as trouble:
        return {"trouble": str(trouble)}
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return {"refused": "request that cannot be read"}


def _act(asked: Mapping[str, Any], signer: Signer) -> dict[str, Any]:
    match asked["ask"]:
        case "join" | "renew" as verb:
            sign = signer.join if verb == "join" else signer.renew
            return {"certificate": sign(_text(asked["shown"]), _text(asked["csr"]), _texts(asked["addresses"])).pem}
        case "revocations":
            recent = {_text(serial): int(_moment(at)) for serial, at in _table(asked["recent"]).items()}
            parts = {_text(digest): _text(part) for digest, part in _table(asked["parts"]).items()}
            number, at, vouched = int(asked["number"]), _moment(asked["at"]), _text(asked.get("vouched", ""))
            signed = signer.revocations(Draft(number, at, recent, parts, vouched=vouched))
            return {"crl": signed.pem, "recent": dict(signed.recent), "parts": dict(signed.parts)}
    raise Refused("request for something else")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def _moment(value: object) -> float:
    """Unix seconds that a certificate can name: what is far beyond has the C library refuse it in its own way."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LATEST:
        raise ValueError("no moment")
    return value


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("no table")
    return value


def _texts(value: Sequence[object]) -> list[str]:
    return [_text(each) for each in value]


def main(words: Sequence[str]) -> None:
    """:param words: where the CA is, and where its book is: two directories."""
    signal.alarm(LIFETIME)  # whatever it waits for: who asks has no other limit
    home, book = (Path(each) for each in words)

    def signer() -> Signer:
        authorities, policy = load_authorities(home, now=time.time()), read_published(home)
        return Signer(authorities, trusted_cas(home), Book(book), time.time, policy)

    request = sys.stdin.buffer.readline(LONGEST)
    sys.stdout.write(json.dumps(answer(request, signer)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
