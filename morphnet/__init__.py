"""Connections that survive the network."""

__version__ = "0.1.0"
