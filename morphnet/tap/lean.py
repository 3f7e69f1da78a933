"""
Modules that are loaded when something of them is asked for: Twisted names many that a process of ours never uses.

Source: importlib; PEP 451. Not importlib.util.LazyLoader: before Python 3.12 a second `import` of the name loads it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from threading import RLock
from types import ModuleType
from typing import Any

ASYNCIO = {"AbstractEventLoop": "asyncio.events", "Future": "asyncio.futures", "iscoroutine": "asyncio.coroutines"}
DIGESTS = ("_md5", "_sha1", "_sha256", "_sha512", "_sha3", "_blake2")  # Python's own, up to 3.11
NEW_DIGESTS = ("_md5", "_sha1", "_sha2", "_sha3", "_blake2")  # since 3.12
_loading = RLock()


class Later(ModuleType):
    """
    Stands for a module until something is asked of it that is not known without it.

    :param parts: where some of its values are, in modules below it, which do not need the whole.
    """

    def __init__(self, spec: ModuleSpec, parts: Mapping[str, str]) -> None:
        super().__init__(spec.name)
        self.__spec__, self.__loader__, self.__package__ = spec, spec.loader, spec.parent
        if spec.origin is not None:
            self.__file__ = spec.origin
        if spec.submodule_search_locations is not None:
            self.__path__ = spec.submodule_search_locations
        self.__dict__["_parts"] = parts

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        with _loading:
            known = self.__dict__
            if name in known:  # another thread was faster
                return known[name]
            if isinstance(self, Later):  # likewise: then it is a module as any other by now
                if "_parts" not in known:  # this thread loads it just now
                    raise AttributeError(name)
                if name in known["_parts"]:
                    known[name] = getattr(import_module(known["_parts"][name]), name)
                    return known[name]
                if "__path__" in known and find_spec(f"{self.__name__}.{name}") is not None:
                    return import_module(f"{self.__name__}.{name}")
                self._load()
        return getattr(self, name)

    def _load(self) -> None:
        """All of it: until it is whole other threads wait. What cannot be loaded says so each time."""
        parts, spec = self.__dict__.pop("_parts"), self.__spec__
        assert spec is not None and spec.loader is not None  # it was found
        try:
            spec.loader.exec_module(self)
        except BaseException:
            self.__dict__["_parts"] = parts
            raise
        self.__class__ = ModuleType  # type: ignore[assignment]


def later(name: str, parts: Mapping[str, str] | None = None) -> None:
    """Have a module be loaded when it is used; one that is there already stays."""
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        return
    sys.modules[name] = module = Later(spec, parts or {})
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)


def own_digests(find: Callable[[str], object] = find_spec) -> None:
    """
    Have Python's own code make checksums: `_hashlib` would bring a second OpenSSL beside the one of `cryptography`.

    Where Python was built without that code everything stays as it is.
    """
    digests = DIGESTS if sys.version_info < (3, 12) else NEW_DIGESTS
    if "_hashlib" in sys.modules or "hashlib" in sys.modules or not all(map(find, digests)):
        return
    sys.modules["_hashlib"] = None  # type: ignore[assignment]
    try:
        import_module("hashlib")
        import_module("hmac")
    finally:
        del sys.modules["_hashlib"]  # who asks for it by name gets it


def prepare(*, digests: bool) -> None:
    """
    What is named in Twisted's modules and used by none of ours, before the first of them is imported.

    :param digests: for a process that makes checksums of little: see `own_digests`.
    """
    if digests:
        own_digests()
    later("asyncio", ASYNCIO)
    for name in ("pdb", "http.cookiejar"):
        later(name)
