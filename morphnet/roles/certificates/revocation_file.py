"""What a process knows of the revoked certificates of one network, kept over restarts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cryptography import x509
from twisted.logger import Logger

from morphnet.durable import make_directory, write_over
from morphnet.errors import Refused
from morphnet.net.tls import Peer
from morphnet.pki.policy import Published, sequence_of, unpack
from morphnet.pki.revocations import RevocationList, as_text, digest_of, from_text, list_number, read_revocations

_BEGIN = "-----BEGIN X509 CRL-----"


class Revoked:
    """
    The newest list that our CA has signed, as far as we have heard of it. What was revoked once stays so here until
    there is a whole list without it: one whose parts are still to come takes nothing back.

    :param cas: the CAs of that network; each list is signed by one of them.
    :param path: where it is kept.
    :param announced: the list says which CAs the network trusts.
    """

    _log = Logger()

    def __init__(
        self,
        cas: Callable[[], Sequence[x509.Certificate]],
        path: Path,
        announced: Callable[[Sequence[x509.Certificate]], object] = lambda cas: None,
    ) -> None:
        self._cas, self._path, self._announced = cas, path, announced
        self._whole: RevocationList | None = None
        self._coming: RevocationList | None = None  # a later one that lacks parts
        self.serials: frozenset[str] = frozenset()  # of what is revoked, hex
        self.vouching: RevocationList | None = None  # the list that the policy is from: a later one may lack it
        self.policy: Published | None = None  # the latest that we could read
        self.unread = ""  # why a later one could not be
        self._read()

    @property
    def whole(self) -> RevocationList | None:
        """The last list of which every part is here."""
        return self._whole

    @property
    def latest(self) -> RevocationList | None:
        """The last list, whether all of it is here or not."""
        return self._coming or self._whole

    @property
    def missing(self) -> tuple[str, ...]:
        """Digests of the parts that are still to come."""
        return self._coming.missing if self._coming is not None else ()

    def is_revoked(self, peer: Peer) -> bool:
        """Asked at every handshake."""
        return peer.serial in self.serials

    def part(self, digest: str) -> str | None:
        """A part that is here."""
        for known in (self._whole, self._coming):
            if known is not None and digest in known.parts:
                return known.parts[digest]
        return None

    def learn(self, pem: str) -> bool:
        """
        Somebody has a list: whether it is news.

        :raises Refused: it is none, or our CA has not signed it.
        """
        latest = self.latest
        if latest is not None and list_number(pem) <= latest.number:
            return False
        self._take(read_revocations(pem, *self._cas()))
        self._write()
        return True

    def take(self, signed: RevocationList) -> None:
        """The same for a list that was signed, or read from a file, here."""
        if self.latest is None or signed.number > self.latest.number:
            self._take(signed)
            self._write()

    def add_part(self, text: str) -> bool:
        """Somebody has a part: whether it was missing."""
        if self._coming is None or digest_of(text) not in self._coming.missing:
            return False
        self._take(self._coming.with_part(text))
        if self._coming is None:  # all are here: not for each of them, since the disk is waited for
            self._write()
        return True

    def _take(self, found: RevocationList) -> None:
        for digest in found.missing:
            if (text := self.part(digest)) is not None:
                found = found.with_part(text)
        self._whole, self._coming = (self._whole, found) if found.missing else (found, None)
        known = (each.serials for each in (self._whole, self._coming) if each is not None)
        self.serials = frozenset[str]().union(*known)
        self._take_policy(found)
        if found.cas:
            self._announced(found.cas)

    def _take_policy(self, found: RevocationList) -> None:
        """Never an earlier one than we have, and none that we do not understand."""
        if self.vouching is not None and found.policy == self.vouching.policy:
            self.vouching = found  # signed by a CA that may be there for longer
            return
        sequence = sequence_of(found.policy)
        if not found.policy or (sequence and self.policy is not None and sequence <= self.policy.sequence):
            return
        try:
            self.policy, self.vouching, self.unread = unpack(found.policy), found, ""
        except Refused as refused:
            if refused.reason != self.unread:
                self._log.error("the network's new policy is not used: {reason}", reason=refused.reason)
            self.unread = refused.reason

    # -- on disk -------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            text = self._path.read_text("ascii", "replace")
        except FileNotFoundError:
            return
        except OSError as trouble:
            self._log.error("cannot read {path}: {trouble}", path=str(self._path), trouble=trouble.strerror)
            return
        for each in _lists(text):
            try:
                self._take(from_text(each, *self._cas()))
            except Refused as refused:
                self._log.error(
                    "{path} is not used ({reason}): the list of revoked certificates is asked for again",
                    path=str(self._path),
                    reason=refused.reason,
                )

    def _write(self) -> None:
        lists = [each for each in (self.vouching, self._whole, self._coming) if each is not None]
        text = "\n".join({each.pem: as_text(each) for each in lists}.values())
        try:
            make_directory(self._path.parent)
            write_over(self._path, text.encode("ascii"), mode=0o600)
        except OSError as trouble:  # it is known all the same, as long as we run
            self._log.error("cannot write {path}: {trouble}", path=str(self._path), trouble=trouble.strerror)


def _lists(text: str) -> Iterator[str]:
    """The lists in a file, each with its parts."""
    for each in text.split(_BEGIN)[1 if text.startswith(_BEGIN) else 0 :]:
        yield _BEGIN + each
