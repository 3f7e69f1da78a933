"""What a process that listens knows of the CA: where it is, and how to ask it for a signature."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from morphnet.errors import ConfigError, HostError, Refused
from morphnet.pki.authority import Issued, read_description
from morphnet.pki.book import signer_directory
from morphnet.pki.files import CA, authority_home, key_path
from morphnet.pki.revocations import Draft, RevocationList, list_announces, list_policy
from morphnet.pki.signer import LIFETIME

SOCKET = Path("/run/morphnet-signer.sock")  # of tap/systemd/morph-signer.socket
PATIENCE = 1.5 * LIFETIME  # seconds to wait for one signature at the socket
_CHUNK = 1 << 16  # bytes


class Signers:
    """
    Has things signed by a process of its own for each. Blocks meanwhile, and may be used by several threads.

    :raises ConfigError: there is no CA here.
    """

    def __init__(self, pki_dir: Path, state_dir: Path, door: Path = SOCKET) -> None:
        self._home, self._book, self._door = authority_home(pki_dir), signer_directory(state_dir), door

    def join(self, invitation_pem: str, csr_pem: str, addresses: Sequence[str]) -> Issued:
        """
        See signing.Signer.

        :raises Refused: it judged so.
        :raises ConfigError: it cannot sign now; or HostError: it does not answer.
        """
        return self._certificate("join", invitation_pem, csr_pem, addresses)

    def renew(self, certificate_pem: str, csr_pem: str, addresses: Sequence[str]) -> Issued:
        """The same."""
        return self._certificate("renew", certificate_pem, csr_pem, addresses)

    def sign_revocations(self, draft: Draft) -> RevocationList:
        """The same; what the CA's book knows to be revoked is in the list in any case."""
        told = {"number": draft.number, "at": draft.at, "recent": dict(draft.recent), "parts": dict(draft.parts)}
        answer = self._ask({"ask": "revocations", "vouched": draft.vouched, **told})
        crl, parts = answer["crl"], answer["parts"]
        cas, policy = list_announces(crl), list_policy(crl)
        return RevocationList(draft.number, crl, answer["recent"], tuple(parts), parts, cas, policy)

    def _certificate(self, verb: str, shown: str, csr: str, addresses: Sequence[str]) -> Issued:
        answer = self._ask({"ask": verb, "shown": shown, "csr": csr, "addresses": list(addresses)})
        found = read_description(answer["certificate"])
        return Issued(found.pem, found.serial, int(found.not_after))

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        line = json.dumps(request).encode("ascii") + b"\n"
        try:
            readable = os.access(key_path(self._home, CA), os.R_OK)
            said = self._start(line) if readable else self._call(line)
            answer: dict[str, Any] = json.loads(said)
        except (OSError, subprocess.SubprocessError) as trouble:
            raise HostError(f"the CA's signer does not answer: {trouble}") from None
        except ValueError:
            raise HostError("the CA's signer ended without an answer: what it wrote to the log says why") from None
        if "refused" in answer:
            raise Refused(answer["refused"])
        if "trouble" in answer:
            raise ConfigError(answer["trouble"])
        return answer

    def _start(self, line: bytes) -> bytes:
        command = [sys.executable, "-m", "morphnet.pki.signer", str(self._home.absolute()), str(self._book.absolute())]
        return subprocess.run(command, input=line, stdout=subprocess.PIPE, check=False).stdout  # it ends by itself

    def _call(self, line: bytes) -> bytes:
        if not self._door.exists():
            raise ConfigError(
                f"the CA's key in {self._home} is not for this user, and no signer listens on {self._door}:"
                " systemctl enable --now morph-signer.socket"
            )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as signer:
            signer.settimeout(PATIENCE)
            signer.connect(str(self._door))
            signer.sendall(line)
            said = b""
            while chunk := signer.recv(_CHUNK):
                said += chunk
        return said
