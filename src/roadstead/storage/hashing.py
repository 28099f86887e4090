"""A hash that runs along with an upload and goes on in another process.

`hashlib` cannot hand its state over, so the work is done by the same libcrypto through its public struct.
Where that is not to be had (a Python with OpenSSL linked in and hidden), `hashlib` does it, nothing is
sealed, and whoever resumes reads the bytes again.
"""

from __future__ import annotations

import _hashlib
import ctypes
import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Protocol

from roadstead.oci.digests import Digest

# The counters inside a context hold bits in 64 of them; nobody uploads an exbibyte.
MAX_LENGTH = 2**60
_SEALED = re.compile(r"1\.([a-z0-9]+)\.(0|[1-9][0-9]{0,18})\.([0-9a-f]+)\.([0-9a-f]*)")
# A foreign libcrypto with a larger struct fails the self-test; it must not write past the end before that.
_CONTEXT_BYTES = 1024


class _Sha256Context(ctypes.Structure):
    _fields_: ClassVar = [
        ("words", ctypes.c_uint32 * 8),
        ("bits_low", ctypes.c_uint32),
        ("bits_high", ctypes.c_uint32),
        ("block", ctypes.c_uint8 * 64),
        ("pending", ctypes.c_uint),
        ("digest_length", ctypes.c_uint),
    ]


class _Sha512Context(ctypes.Structure):
    _fields_: ClassVar = [
        ("words", ctypes.c_uint64 * 8),
        ("bits_low", ctypes.c_uint64),
        ("bits_high", ctypes.c_uint64),
        ("block", ctypes.c_uint8 * 128),
        ("pending", ctypes.c_uint),
        ("digest_length", ctypes.c_uint),
    ]


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the two algorithms differ in."""

    function: str
    context: type[_Sha256Context | _Sha512Context]
    word_bytes: int
    block_bytes: int
    digest_bytes: int


_SHAPES = {
    "sha256": _Shape("SHA256", _Sha256Context, 4, 64, 32),
    "sha512": _Shape("SHA512", _Sha512Context, 8, 128, 64),
}


@dataclass(frozen=True, slots=True)
class HashState:
    """A hash in the middle of its bytes, independent of any library's memory layout.

    One that exists is in range: it may be put into a C struct.
    """

    algorithm: str
    length: int
    words: tuple[int, ...]
    tail: bytes

    def __post_init__(self) -> None:
        shape = _SHAPES[self.algorithm]
        limit = 1 << (8 * shape.word_bytes)
        if (
            not 0 <= self.length < MAX_LENGTH
            or len(self.words) != 8
            or not all(0 <= word < limit for word in self.words)
            or len(self.tail) != self.length % shape.block_bytes
        ):
            raise ValueError("not the state of a hash")

    def __str__(self) -> str:
        size = _SHAPES[self.algorithm].word_bytes
        words = b"".join(word.to_bytes(size, "big") for word in self.words)
        return f"1.{self.algorithm}.{self.length}.{words.hex()}.{self.tail.hex()}"

    @classmethod
    def parse(cls, text: str) -> HashState:
        """The state that `str` wrote.  Raises `ValueError` for anything else."""
        match = _SEALED.fullmatch(text)
        if match is None or match[1] not in _SHAPES:
            raise ValueError("not the state of a hash")
        size = _SHAPES[match[1]].word_bytes
        words = bytes.fromhex(match[3])
        if len(words) != 8 * size:
            raise ValueError("not the state of a hash")
        return cls(
            match[1],
            int(match[2]),
            tuple(int.from_bytes(words[at : at + size], "big") for at in range(0, 8 * size, size)),
            bytes.fromhex(match[4]),
        )


class Engine(Protocol):
    """What computes.  Belongs to one thread at a time."""

    def update(self, data: bytes) -> None: ...

    def digest(self) -> bytes: ...

    def state(self, length: int) -> HashState | None:
        """Where the hash stands after `length` bytes, or None when the library does not tell."""
        ...


class PlainEngine:
    """`hashlib`: always there, never resumed."""

    def __init__(self, algorithm: str) -> None:
        self._hash = hashlib.new(algorithm)
        self.update = self._hash.update
        self.digest = self._hash.digest

    def state(self, length: int) -> HashState | None:  # noqa: ARG002 - the interface's parameter
        return None


class LibcryptoEngine:
    """OpenSSL's own contexts.  `CDLL` lets other threads run meanwhile."""

    def __init__(self, library: ctypes.CDLL, algorithm: str) -> None:
        self._library = library
        self._algorithm = algorithm
        self._shape = shape = _SHAPES[algorithm]
        self._memory = ctypes.create_string_buffer(_CONTEXT_BYTES)
        self._context = shape.context.from_buffer(self._memory)
        self._update = library[f"{shape.function}_Update"]
        # c_char_p takes bytes and nothing else; a c_void_p would take an address.
        self._update.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
        library[f"{shape.function}_Init"](self._memory)

    def restore(self, state: HashState) -> None:
        context, bits = self._context, state.length * 8
        context.words[:] = state.words
        context.block[: len(state.tail)] = state.tail
        context.pending = len(state.tail)
        # ctypes keeps the low bits of what it is given: SHA-512's low counter holds them all.
        context.bits_low = bits
        context.bits_high = bits >> (8 * self._shape.word_bytes)

    def update(self, data: bytes) -> None:
        self._update(self._memory, data, len(data))

    def digest(self) -> bytes:
        copy = ctypes.create_string_buffer(self._memory.raw, _CONTEXT_BYTES)
        result = ctypes.create_string_buffer(_CONTEXT_BYTES)
        self._library[f"{self._shape.function}_Final"](result, copy)
        return result.raw[: self._shape.digest_bytes]

    def state(self, length: int) -> HashState | None:
        context = self._context
        tail = bytes(context.block[: length % self._shape.block_bytes])
        if context.pending != len(tail):
            return None
        return HashState(self._algorithm, length, tuple(context.words), tail)


class RunningHash:
    """A hash over bytes that arrive over time.  Belongs to one task at a time."""

    __slots__ = ("_engine", "algorithm", "length")

    def __init__(self, algorithm: str, engine: Engine, length: int = 0) -> None:
        self.algorithm = algorithm
        self.length = length
        self._engine = engine

    @classmethod
    def new(cls, algorithm: str) -> RunningHash:
        """A hash of no bytes yet: `sha256` or `sha512`."""
        library = _libcrypto()
        return cls(
            algorithm, PlainEngine(algorithm) if library is None else LibcryptoEngine(library, algorithm)
        )

    def update(self, data: bytes) -> None:
        """Go on over `data`.  Other threads run meanwhile."""
        self._engine.update(data)
        self.length += len(data)

    def digest(self) -> Digest:
        """The digest of the bytes so far.  The hash may go on."""
        return Digest(self.algorithm, self._engine.digest().hex())

    def seal(self, key: bytes, context: str) -> str | None:
        """The state as text that only a holder of `key` can make, good for `context` alone.

        None when it cannot be resumed: whoever goes on reads the bytes again.
        """
        state = self._engine.state(self.length)
        return None if state is None else f"{state}.{_seal_of(str(state), key, context)}"

    @classmethod
    def unseal(
        cls, sealed: str, key: bytes, context: str, *, algorithm: str, length: int
    ) -> RunningHash | None:
        """The hash that was sealed, ready to go on.

        None on any mismatch of seal, context, algorithm or length: then the bytes are to be read again.
        """
        library = _libcrypto()
        text, _, seal = sealed.rpartition(".")
        if library is None or not sealed.isascii():
            return None
        if not hmac.compare_digest(seal.encode(), _seal_of(text, key, context).encode()):
            return None
        try:
            state = HashState.parse(text)
        except ValueError:
            return None
        if (state.algorithm, state.length) != (algorithm, length):
            return None
        return cls(algorithm, _restored(library, state), length)


def self_test() -> str:
    """The backend chosen, after proving it: `libcrypto`, or `none` when no hash can be resumed."""
    return "none" if _libcrypto() is None else "libcrypto"


def _seal_of(text: str, key: bytes, context: str) -> str:
    # The length keeps context and text apart, whatever a context holds.
    message = f"roadstead hash state:{len(context)}:{context}:{text}"
    return hmac.digest(key, message.encode(), "sha256").hex()


def _restored(library: ctypes.CDLL, state: HashState) -> LibcryptoEngine:
    engine = LibcryptoEngine(library, state.algorithm)
    engine.restore(state)
    return engine


@cache
def _libcrypto() -> ctypes.CDLL | None:
    """The first libcrypto that gives the same answers as `hashlib`, split anywhere."""
    return next((library for library in _candidates() if _agrees_with_hashlib(library)), None)


def _candidates() -> Iterator[ctypes.CDLL]:
    # The extension module first: a symbol looked up there comes from the very libcrypto that hashlib uses.
    names: Sequence[str | None] = (getattr(_hashlib, "__file__", None), "libcrypto.so.3", "libcrypto.so.1.1")
    for name in names:
        try:
            library = ctypes.CDLL(name)
            for shape in _SHAPES.values():
                for step in ("Init", "Update", "Final"):
                    library[f"{shape.function}_{step}"]  # raises AttributeError when it is not there
        except (OSError, AttributeError):
            continue
        yield library


def _agrees_with_hashlib(library: ctypes.CDLL) -> bool:
    data = bytes(range(256)) * 4
    for algorithm in _SHAPES:
        expected = hashlib.new(algorithm, data).digest()
        for split in (0, 1, 63, 64, 65, 111, 112, 127, 128, 129, 700, len(data)):
            first = LibcryptoEngine(library, algorithm)
            first.update(data[:split])
            state = first.state(split)
            if state is None:
                return False
            second = _restored(library, HashState.parse(str(state)))
            second.update(data[split:])
            first.update(data[split:])
            if second.digest() != expected or first.digest() != expected:
                return False
    return True
