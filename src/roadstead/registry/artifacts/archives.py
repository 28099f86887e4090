"""One small file out of a tar archive that a stranger made.

Nothing is unpacked: headers are read one after the other, and a name is a text to compare, never a path.  Links are
passed over.  Every size is a claim; what limits the work is counted here.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from roadstead.errors import TooLarge

# Larger archives are not looked into, and no more than this of what they expand to.
MOST_COMPRESSED = 8 * 1024 * 1024
MOST_EXPANDED = 64 * 1024 * 1024
# Times its own size that an archive may expand to.
MOST_RATIO = 100
MOST_ENTRIES = 10_000
MOST_MEMBER = 1024 * 1024

_BLOCK = 512
_STEP = 64 * 1024
_LONGEST_NAME = 4096
_FILES = (b"0", b"\0", b"7")


class ArchiveRefused(TooLarge):
    """The archive is not looked into: it is too much, or no archive."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the archive cannot be shown: {reason}", remedy="pull it, and look into it on your own machine"
        )


def member(archive: bytes, wanted: Callable[[str], bool], *, gzip: bool) -> bytes | None:
    """The bytes of the first regular file whose name is `wanted`; None if there is none.

    Raises `ArchiveRefused`.  Takes up to a second: run it in a thread.
    """
    if len(archive) > MOST_COMPRESSED:
        raise ArchiveRefused(f"it has more than {MOST_COMPRESSED} bytes")
    source = _Source(archive, gzip=gzip)
    longer: str | None = None
    for _ in range(MOST_ENTRIES):
        header = source.take(_BLOCK)
        if len(header) < _BLOCK or header.count(0) == _BLOCK:
            return None
        kind, size = header[156:157], _number(header[124:136])
        padded = -(-size // _BLOCK) * _BLOCK
        if kind in {b"x", b"L"}:
            longer = _longer_name(source, kind, size, padded)
            continue
        name, longer = longer if longer is not None else _name(header), None
        if kind in _FILES and wanted(name):
            if size > MOST_MEMBER:
                raise ArchiveRefused(f"the file has more than {MOST_MEMBER} bytes")
            found = source.take(size)
            if len(found) < size:
                raise ArchiveRefused("it ends in the middle of a file")
            return found
        source.skip(padded)
    raise ArchiveRefused(f"it has more than {MOST_ENTRIES} entries")


class _Source:
    """The expanded bytes, a piece at a time."""

    def __init__(self, archive: bytes, *, gzip: bool) -> None:
        self._rest = archive
        # 31: one gzip member, with its header.
        self._inflate = zlib.decompressobj(31) if gzip else None
        self._most = min(MOST_EXPANDED, max(len(archive) * MOST_RATIO, _STEP)) if gzip else len(archive)
        self._ready = bytearray()
        self._given = 0

    def take(self, count: int) -> bytes:
        """So many bytes, or fewer at the end."""
        while len(self._ready) < count and self._more():
            pass
        found = bytes(self._ready[:count])
        del self._ready[:count]
        return found

    def skip(self, count: int) -> None:
        while count > 0 and (self._ready or self._more()):
            passed = min(count, len(self._ready))
            del self._ready[:passed]
            count -= passed

    def _more(self) -> bool:
        if self._inflate is None:
            piece, self._rest = self._rest[:_STEP], self._rest[_STEP:]
        else:
            piece = self._inflated(self._inflate)
        self._given += len(piece)
        if self._given > self._most:
            raise ArchiveRefused("it expands to too much")
        self._ready += piece
        return bool(piece)

    def _inflated(self, inflate: zlib._Decompress) -> bytes:
        if inflate.eof:
            return b""
        try:
            piece = inflate.decompress(self._rest, _STEP)
        except zlib.error:
            raise ArchiveRefused("it is not gzip") from None
        self._rest = inflate.unconsumed_tail
        return piece


def _number(field: bytes) -> int:
    """A number of a header: octal digits, or, with the first bit set, binary."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0")
    try:
        found = int(text or b"0", 8)
    except ValueError:
        raise ArchiveRefused("it is not a tar archive") from None
    if found < 0:
        raise ArchiveRefused("it is not a tar archive")
    return found


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0")[0]
    prefix = header[345:500].split(b"\0")[0] if header[257:262] == b"ustar" else b""
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "replace")


def _longer_name(source: _Source, kind: bytes, size: int, padded: int) -> str | None:
    if size > _STEP:
        raise ArchiveRefused("a name in it is too long")
    text = source.take(padded)[:size]
    if kind == b"L":
        return text.rstrip(b"\0").decode("utf-8", "replace")[:_LONGEST_NAME]
    # Records of `length key=value\n`.
    for record in text.split(b"\n"):
        _, _, pair = record.partition(b" ")
        key, _, value = pair.partition(b"=")
        if key == b"path":
            return value.decode("utf-8", "replace")[:_LONGEST_NAME]
    return None
