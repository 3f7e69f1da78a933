"""
The files app of the original HomeChannel, with its operations and its words, on a directory that nothing leads out of.

Source: docs/homechannel section 5.
"""

from __future__ import annotations

import base64
import errno
import mimetypes
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from morphnet.errors import Refused
from morphnet.roles.home.beneath import Beneath
from morphnet.roles.home.services.files import MOST_ENTRIES, PART

MOST = 100 << 20  # bytes of a file
_WORDS = {
    errno.EXDEV: "Access denied: path outside allowed directories",
    errno.ELOOP: "Access denied: path outside allowed directories",
    errno.EACCES: "Access denied",
    errno.EPERM: "Access denied",
    errno.EROFS: "Access denied",
    errno.ENOTEMPTY: "Directory not empty",
    errno.EEXIST: "Directory already exists",
    errno.ENOTDIR: "Not a directory",
    errno.EISDIR: "Not a file",
    errno.ENOSPC: "No space left",
}


def words(trouble: OSError, missing: str) -> str:
    """What a browser is told: nothing of our paths."""
    return missing if trouble.errno == errno.ENOENT else _WORDS.get(trouble.errno or 0, "Operation failed")


def _about(name: str, looked: os.stat_result) -> dict[str, Any]:
    kind = "directory" if stat.S_ISDIR(looked.st_mode) else "file"
    return {"name": name, "type": kind, "size": looked.st_size, "modified": int(looked.st_mtime * 1000)}


class OldFiles:
    """
    Its operations; each blocks, so that threads do them.

    :param root: as browsers may name it: what begins with it is below the directory.
    """

    def __init__(self, beneath: Beneath, root: Path, *, writable: bool) -> None:
        self._beneath, self._root, self._writable = beneath, str(root).rstrip("/"), writable
        self._operations: dict[str, Callable[[str, dict[str, Any]], dict[str, Any]]] = {
            "listDirectory": self._list,
            "getFileInfo": self._info,
            "writeFile": self._write,
            "deleteFile": self._delete_file,
            "createDirectory": self._create,
            "deleteDirectory": self._delete_directory,
        }

    def path(self, params: dict[str, Any]) -> str:
        """
        The path that is meant, from our directory.

        :raises Refused: it is none.
        """
        path = params.get("path")
        if not isinstance(path, str) or len(path) > 4096 or "\0" in path:
            raise Refused("Path is required")
        if ".." in path.split("/"):
            raise Refused("Path traversal not allowed")
        if path == self._root or path.startswith(self._root + "/"):
            path = path[len(self._root) :]
        return path.strip("/")

    def run(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """
        The result of one.

        :raises Refused: why there is none.
        """
        act = self._operations.get(operation)
        if act is None:
            raise Refused(f"Unknown operation: {operation[:40]}")
        path = self.path(params)
        if operation not in ("listDirectory", "getFileInfo"):
            self.may_write()
        try:
            return act(path, params)
        except OSError as trouble:
            directory = operation in ("listDirectory", "deleteDirectory")
            raise Refused(words(trouble, "Directory not found" if directory else "File not found")) from None

    def may_write(self) -> None:
        """:raises Refused: nobody may."""
        if not self._writable:
            raise Refused("Access denied")

    def _list(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        found = []
        for each in self._beneath.entries(path, MOST_ENTRIES):
            kind = "directory" if each.directory else "file"
            found.append({"name": each.name, "type": kind, "size": each.size, "modified": each.modified * 1000})
        return {"items": found}

    def _info(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        opened = self._beneath.open(path, os.O_PATH)
        try:
            looked = os.fstat(opened)
        finally:
            os.close(opened)
        allowed = {"readable": bool(looked.st_mode & 0o444), "writable": self._writable}
        return _about(path.rpartition("/")[2] or "/", looked) | {"permissions": allowed}

    def open(self, path: str) -> tuple[int, int, str]:
        """
        A file to be read: descriptor, size and MIME type.

        :raises Refused: it cannot be.
        """
        try:
            opened = self._beneath.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as trouble:
            raise Refused(words(trouble, "File not found")) from None
        looked = os.fstat(opened)
        if not stat.S_ISREG(looked.st_mode) or looked.st_size > MOST:
            os.close(opened)
            too_large = f"File too large: {looked.st_size} bytes (max: {MOST})"
            raise Refused(too_large if stat.S_ISREG(looked.st_mode) else "Not a file")
        return opened, looked.st_size, mimetypes.guess_type(path)[0] or "application/octet-stream"

    def _write(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        content = params.get("content")
        if not isinstance(content, str):
            raise Refused("Content is required")
        try:
            raw = base64.b64decode(content, validate=True) if params.get("encoding") == "base64" else content.encode()
        except ValueError:
            raise Refused("Content is required") from None
        upload = self.upload(path, len(raw))
        upload.write(raw)
        return upload.end()

    def upload(self, path: str, size: int) -> OldUpload:
        """
        Begin to write a file.

        :raises Refused: it may not be.
        """
        self.may_write()
        if size > MOST:
            raise Refused(f"File too large: {size} bytes (max: {MOST})")
        try:
            directory, name = self._beneath.directory_of(path)
        except OSError as trouble:
            raise Refused(words(trouble, "Directory not found")) from None
        return OldUpload(directory, name, size)

    def _delete_file(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        return self._delete(path, directory=False)

    def _delete_directory(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        return self._delete(path, directory=True)

    def _delete(self, path: str, *, directory: bool) -> dict[str, Any]:
        opened = self._beneath.open(path, os.O_PATH | os.O_NOFOLLOW)
        try:
            is_directory = stat.S_ISDIR(os.fstat(opened).st_mode)
        finally:
            os.close(opened)
        if is_directory != directory:
            raise Refused("Not a directory" if directory else "Not a file")
        self._beneath.remove(path)
        return {"success": True}

    def _create(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        self._beneath.make_directory(path)
        return {"success": True}


class OldUpload:
    """A file that is on its way, beside its place until it is whole."""

    def __init__(self, directory: int, name: str, size: int) -> None:
        """:raises Refused: it cannot be made."""
        self._directory, self._name, self._size, self._written = directory, name, size, 0
        self._part = f"{PART[0]}{secrets.token_hex(8)}{PART[1]}"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.open(self._part, flags, 0o644, dir_fd=directory)
        except OSError as trouble:
            os.close(directory)
            raise Refused(words(trouble, "Directory not found")) from None

    def write(self, data: bytes) -> None:
        """
        More of it.

        :raises Refused: that is more than was announced, or the disk is full; the upload is over.
        """
        try:
            self._written += len(data)
            if self._written > self._size:
                raise Refused(f"File too large: {self._written} bytes (max: {self._size})")
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as trouble:
            self.drop()
            raise Refused(words(trouble, "File not found")) from None
        except Refused:
            self.drop()
            raise

    def end(self) -> dict[str, Any]:
        """
        All of it is here: it takes its place.

        :raises Refused: it cannot, or is not whole.
        """
        if self._written != self._size:
            self.drop()
            raise Refused("Upload incomplete")
        try:
            os.fsync(self._file)
            os.rename(self._part, self._name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except OSError as trouble:
            self.drop()
            raise Refused(words(trouble, "File not found")) from None
        self._close()
        return {"success": True, "size": self._size}

    def drop(self) -> None:
        """It will not be whole."""
        if self._file >= 0:
            os.unlink(self._part, dir_fd=self._directory)
            self._close()

    def _close(self) -> None:
        os.close(self._file)
        os.close(self._directory)
        self._file = -1
