"""A disk, or a store of records, that fails at each step in turn: 507, nothing is lost, and the next try succeeds."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from morphnet.durable import sync_directory
from morphnet.store import vault
from morphnet.store.memory_uploads import MemoryUploads
from tests.fakes_upload import Line, Service, slot

DATA = bytes(range(100)) * 9
SIZE = len(DATA)
CALLS = ("open", "pwrite", "pread", "fsync", "rename", "link", "ftruncate", "dup")
STORE = ("begin", "announce", "complete", "forget")
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
DRAFT = {"Upload-Draft-Interop-Version": "6"}
MOST = 100  # steps of any way to upload


def _full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Disk:
    """`os`, as a disk has it that fails once, at its so many-th call."""

    def __init__(self, fails_at: int) -> None:
        self.left = fails_at

    def step(self) -> None:
        """:raises OSError: this is the one."""
        self.left -= 1
        if not self.left:
            raise _full()

    def stepped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same, and it counts."""

        def counted(*arguments: Any, **more: Any) -> Any:
            self.step()
            return call(*arguments, **more)

        return counted

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        return self.stepped(found) if name in CALLS else found


class FullUploads(MemoryUploads):
    """Records on that disk."""

    disk = Disk(0)

    def __init__(self) -> None:
        super().__init__()
        for name in STORE:
            setattr(self, name, self._counted(getattr(self, name)))

    def _counted(self, call: Callable[..., Deferred[Any]]) -> Callable[..., Deferred[Any]]:
        def counted(*arguments: Any) -> Deferred[Any]:
            try:
                self.disk.step()
            except OSError as trouble:
                return fail(trouble)
            return call(*arguments)

        return counted


class Full(Service):
    """A server with both."""

    def stores(self, directory: Any) -> Any:
        self.uploads = FullUploads()
        return self.uploads, vault.Vault(directory)

    def status(self, verb: str, target: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, dict[str, str]]:
        """The final answer; 0 for a connection that is ended without one."""
        line = Line(self)
        line.begin(verb, target, headers, body)
        self.clock.advance(3.0)
        self.clock.advance(0)
        final = [each for each in line.answers(head=verb == "HEAD") if each.status > 199]
        return (final[-1].status, dict(final[-1].headers)) if final else (0 if line.aborted else -1, {})


def put(service: Full, path: str) -> int:
    """A plain PUT, or one more."""
    return service.status("PUT", slot(path, SIZE), {}, DATA)[0]


def tus(service: Full, path: str) -> int:
    """Begin, ask, and go on from there, in two steps."""
    target, status = slot(path, SIZE), 0
    status, told = service.status("HEAD", target, {"Tus-Resumable": "1.0.0", "Upload-Length": str(SIZE)})
    if status == 404:
        status, told = service.status("POST", target, {**TUS, "Upload-Length": str(SIZE)})
    for end in (SIZE // 2, SIZE):
        if status not in (200, 201, 204):
            return status
        at = int(told["upload-offset"])
        status, told = service.status("PATCH", target, {**TUS, "Upload-Offset": str(at)}, DATA[at:end])
    return status


def phone(service: Full, path: str) -> int:
    """The app's PUT; later HEAD, and PATCH with the rest."""
    target = slot(path, SIZE)
    status, told = service.status("HEAD", target, {**DRAFT, "Upload-Length": str(SIZE)})
    if status == 404:
        return service.status("PUT", target, {**DRAFT, "Upload-Complete": "?1"}, DATA)[0]
    if status != 204:
        return status
    at = int(told["upload-offset"])
    more = {"Upload-Offset": str(at), "Upload-Complete": "?1", "Content-Type": "application/partial-upload"}
    return service.status("PATCH", target, {**DRAFT, **more}, DATA[at:])[0]


def parts(service: Full, path: str) -> int:
    """Two parts, one after the other, and the file that they are."""
    target, addresses = f"{slot(path, SIZE)}&size={SIZE}", []
    for piece in (DATA[:500], DATA[500:]):
        told = {**TUS, "Upload-Concat": "partial", "Upload-Length": str(len(piece))}
        status, said = service.status("POST", target, told, piece)
        if status != 201:
            return status
        addresses.append(said["location"])
    final = {"Tus-Resumable": "1.0.0", "Upload-Concat": f"final;{' '.join(addresses)}"}
    return service.status("POST", target, final)[0]


class NoRoomTests(SynchronousTestCase):
    def made(self, fails_at: int) -> Full:
        """With a file of the same content that is whole, and a disk that fails."""
        service, disk = Full(self.mktemp(), max_size=SIZE), Disk(0)
        self.assertEqual(put(service, "s/other"), 201)
        disk.left = fails_at
        service.uploads.disk = disk  # type: ignore[attr-defined]
        self.patch(vault, "os", disk)
        self.patch(vault, "sync_directory", disk.stepped(sync_directory))
        return service

    def tried(self, upload: Callable[[Full, str], int], refused: tuple[int, ...]) -> int:
        """At how many steps it may fail; at each of them it did, and what came of it was looked at."""
        for step in range(1, MOST):
            service = self.made(step)
            status = upload(service, "s/a")
            if service.uploads.disk.left > 0:  # type: ignore[attr-defined]
                self.assertIn(status, (200, 201, 204))
                return step - 1
            self.assertIn(status, (*refused, 200, 201, 204), step)
            self.assertEqual(self.flushLoggedErrors(), [], step)
            again = upload(service, "s/a")
            self.assertTrue(again in (200, 201, 204) or service.stored("s/a") is not None, (step, status, again))
            self.assertEqual((service.stored("s/a"), service.stored("s/other")), (DATA, DATA), step)
            self.assertIn(put(service, "s/a"), (409,), step)
            self.assertEqual(list(service.vault._partial.iterdir()), [], step)
        raise AssertionError("it fails at each step")

    def test_put(self) -> None:
        """A PUT is repeated."""
        self.assertGreater(self.tried(put, (507,)), 8)

    def test_tus(self) -> None:
        """A tus client asks, and goes on."""
        self.assertGreater(self.tried(tus, (507,)), 12)

    def test_phone(self) -> None:
        """A phone is hung up on once it was told 104, and goes on."""
        self.assertGreater(self.tried(phone, (507, 0)), 10)

    def test_parts(self) -> None:
        """Parts are made anew, and joined; those of before go in time."""
        self.assertGreater(self.tried(parts, (507,)), 20)
