"""
What is compiled where there is a compiler: the core in C, and with mypyc the modules that every packet passes. Both are
optional. MORPHNET_BUILD=source leaves everything as it is. The rest about the package is in setup.cfg.
"""

import ast
import os
import sys
from pathlib import Path

from setuptools import Extension, setup

PACKAGE = Path("morphnet")


def modules() -> list[str]:
    """As morphnet/compiled.py names them, read without importing it."""
    tree = ast.parse((PACKAGE / "compiled.py").read_text())
    assigned = (node for node in tree.body if isinstance(node, ast.Assign))
    value = next(node.value for node in assigned if node.targets[0].id == "MODULES")
    return [str(PACKAGE / name) for name in ast.literal_eval(value)]


def extensions() -> list[Extension]:
    """Each of them optional: what cannot be built is left out."""
    if os.environ.get("MORPHNET_BUILD") == "source":
        return []
    core = PACKAGE / "wire/c"
    sources, headers = (sorted(map(str, core.glob(kind))) for kind in ("*.c", "*.h"))
    found = [Extension("morphnet.wire._core", sources, depends=headers, libraries=["dl"])]
    try:
        from mypyc.build import mypycify
    except ImportError:
        print("setup: no mypyc here: the data plane stays interpreted", file=sys.stderr)
    else:
        checks = ["--config-file=", "--ignore-missing-imports"]  # the strict ones are for `make types`
        found += mypycify([*checks, *modules()], opt_level="3", group_name="morphnet.tunnel")
    for extension in found:
        extension.optional = True
    return found


setup(ext_modules=extensions())
