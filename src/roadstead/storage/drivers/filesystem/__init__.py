"""Blobs as files under one folder, of a local disk or of a shared filesystem.

`layout.py`, one folder up, draws the tree.
"""

from __future__ import annotations

from roadstead.storage.drivers.filesystem.store import FilesystemStore

__all__ = ["FilesystemStore"]
