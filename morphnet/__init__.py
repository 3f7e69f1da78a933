"""Connections that survive the network."""

from morphnet import compiled as compiled  # first of all: it decides which form of the others is imported

__version__ = "0.1.0"
