"""Roadstead: an OCI registry for a company's images."""

from importlib.metadata import version

__version__ = version("roadstead")
