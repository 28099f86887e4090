"""What the operating system refuses, in the registry's words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from roadstead.errors import Conflict, InsufficientStorage, NotFound, RoadsteadError, Unavailable

_FULL = (
    InsufficientStorage,
    "the filesystem of the blobs has no room left",
    "free some space, enlarge the filesystem or raise its quota",
)
_FORBIDDEN = (
    Unavailable,
    "the folder of the blobs refuses us",
    "let the account that runs the server read and write the whole folder",
)
_BROKEN = (
    Unavailable,
    "the filesystem of the blobs does not answer as it should",
    "look at the kernel's log, and at the disk or the server behind the mount",
)
_LINKED = (
    Unavailable,
    "something other than a folder or a file of ours stands in the tree of the blobs",
    "links are not followed inside the tree: put the real folder in place of the link",
)
_DESCRIPTORS = (
    Unavailable,
    "the process has too many files open",
    "raise the limit of open files (ulimit -n, LimitNOFILE)",
)

_FAILURES: Mapping[int, tuple[type[RoadsteadError], str, str]] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: (
        InsufficientStorage,
        "the filesystem cannot hold a file so large",
        "use another filesystem",
    ),
    errno.EROFS: (Unavailable, "the filesystem of the blobs is read-only", "mount it for writing"),
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.ELOOP: _LINKED,
    errno.ENOTDIR: _LINKED,
    errno.EISDIR: _LINKED,
    errno.EMFILE: _DESCRIPTORS,
    errno.ENFILE: _DESCRIPTORS,
    errno.EEXIST: (Conflict, "a storage key is written once, and this one was", "begin again with a new key"),
}


@contextmanager
def explained(missing: type[NotFound] | None = None) -> Iterator[None]:
    """Turn an `OSError` into one of our errors; `missing` is what a file that is not there means."""
    try:
        yield
    except FileNotFoundError as error:
        if missing is None:
            raise Unavailable(
                "the folder of the blobs is gone",
                remedy="mount it again, or restore it from a backup",
                errno="ENOENT",
            ) from error
        raise missing("the store holds no bytes under this key") from error
    except OSError as error:
        kind, message, remedy = _FAILURES.get(error.errno or 0, _BROKEN)
        name = errno.errorcode.get(error.errno or 0, "unknown")
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise kind(f"{message} ({reason})", remedy=remedy, errno=name) from error
