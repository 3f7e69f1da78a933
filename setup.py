"""The compiled core, where there is a compiler; everything else about the package is in setup.cfg."""

from setuptools import Extension, setup

setup(
    ext_modules=[Extension("morphnet.wire._core", ["morphnet/wire/_core.c"], libraries=["dl"], optional=True)],
)
