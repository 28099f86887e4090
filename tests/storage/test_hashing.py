"""A running hash: equal to hashlib, resumable elsewhere, and deaf to forgeries."""

from __future__ import annotations

import ctypes
import hashlib
import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.storage import hashing
from roadstead.storage.hashing import HashState, LibcryptoEngine, PlainEngine, RunningHash

KEY = b"k" * 32
ALGORITHMS = pytest.mark.parametrize("algorithm", ["sha256", "sha512"])

pytestmark = pytest.mark.skipif(hashing.self_test() == "none", reason="this Python hides its libcrypto")


def hash_of(data: bytes, algorithm: str = "sha256") -> RunningHash:
    running = RunningHash.new(algorithm)
    running.update(data)
    return running


def sealed(data: bytes, algorithm: str = "sha256", context: str = "upload 1") -> str:
    text = hash_of(data, algorithm).seal(KEY, context)
    assert text is not None
    return text


def with_good_seal(text: str, context: str = "upload 1") -> str:
    return f"{text}.{hashing._seal_of(text, KEY, context)}"


def unseal(
    text: str, *, context: str = "upload 1", algorithm: str = "sha256", length: int = 0, key: bytes = KEY
) -> RunningHash | None:
    return RunningHash.unseal(text, key, context, algorithm=algorithm, length=length)


@ALGORITHMS
def test_a_hash_split_anywhere_equals_hashlib(algorithm: str) -> None:
    source = random.Random(7)
    for _ in range(300):
        data = source.randbytes(source.randrange(2000))
        running = RunningHash.new(algorithm)
        cuts = sorted(source.randrange(len(data) + 1) for _ in range(4))
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            running.update(data[start:end])
            text = running.seal(KEY, "c")
            assert text is not None
            resumed = unseal(text, context="c", algorithm=algorithm, length=end)
            assert resumed is not None
            running = resumed
        assert running.digest().hex == hashlib.new(algorithm, data).hexdigest()
        assert running.digest().algorithm == algorithm
        assert running.length == len(data)


@ALGORITHMS
def test_a_hash_goes_on_in_another_process(algorithm: str) -> None:
    program = (
        "import sys; from roadstead.storage.hashing import RunningHash\n"
        "h = RunningHash.unseal(sys.argv[1], b'k' * 32, 'upload 1', algorithm=sys.argv[2], length=1000)\n"
        "h.update(b'y' * 1000); print(h.digest())"
    )
    command = [sys.executable, "-c", program, sealed(b"x" * 1000, algorithm), algorithm]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert answer == f"{algorithm}:{hashlib.new(algorithm, b'x' * 1000 + b'y' * 1000).hexdigest()}"


def test_more_bytes_than_fit_one_counter_are_hashed_across_a_seal() -> None:
    piece, running, expected = bytes(1024 * 1024), RunningHash.new("sha256"), hashlib.sha256()
    for count in range(1, 515):
        running.update(piece)
        expected.update(piece)
        if count in {511, 512, 513}:
            text = running.seal(KEY, "upload 1")
            assert text is not None
            resumed = unseal(text, length=running.length)
            assert resumed is not None
            running = resumed
    assert running.digest().hex == expected.hexdigest()


@ALGORITHMS
def test_asking_for_the_digest_does_not_end_the_hash(algorithm: str) -> None:
    running = hash_of(b"one", algorithm)
    assert running.digest() == running.digest()
    running.update(b" two")
    assert running.digest().hex == hashlib.new(algorithm, b"one two").hexdigest()


@ALGORITHMS
@pytest.mark.parametrize("size", [0, 63, 65, 127])
def test_a_seal_with_any_byte_changed_is_refused(algorithm: str, size: int) -> None:
    text = sealed(b"x" * size, algorithm)
    assert unseal(text, algorithm=algorithm, length=size) is not None
    for at, old in enumerate(text):
        for new in {"0", "f", "F", ".", "\u0660", " "} - {old}:
            forged = text[:at] + new + text[at + 1 :]
            assert unseal(forged, algorithm=algorithm, length=size) is None
        assert unseal(text[:at], algorithm=algorithm, length=size) is None
        assert unseal(text[:at] + text[at + 1 :], algorithm=algorithm, length=size) is None


def test_a_seal_is_good_for_its_own_key_context_algorithm_and_length_only() -> None:
    text = sealed(b"x" * 100)
    assert unseal(text, length=100) is not None
    assert unseal(text, length=100, key=b"K" * 32) is None
    assert unseal(text, length=100, context="upload 2") is None
    assert unseal(text, length=100, context="") is None
    assert unseal(text, length=100, algorithm="sha512") is None
    assert unseal(text, length=99) is None
    assert unseal(text, length=164) is None


def test_context_and_state_cannot_be_shifted_into_each_other() -> None:
    state = str(HashState("sha256", 0, (0,) * 8, b""))
    assert hashing._seal_of(state, KEY, "a") != hashing._seal_of("a:" + state, KEY, "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1.sha256.0",
        f"2.sha256.0.{'0' * 64}.",
        f"1.md5.0.{'0' * 64}.",
        f"1.sha1.0.{'0' * 40}.",
        f"1.sha256.0.{'0' * 62}.",
        f"1.sha256.0.{'0' * 66}.",
        f"1.sha256.0.{'0' * 63}.",
        f"1.sha512.0.{'0' * 64}.",
        f"1.sha256.0.{'0' * 64}.00",
        f"1.sha256.1.{'0' * 64}.",
        f"1.sha256.1.{'0' * 64}.0",
        f"1.sha256.1.{'0' * 64}.0000",
        f"1.sha256.64.{'0' * 64}.{'00' * 64}",
        f"1.sha256.63.{'0' * 64}.{'00' * 64}",
        f"1.sha256.-1.{'0' * 64}.",
        f"1.sha256.00.{'0' * 64}.",
        f"1.sha256.{2**60}.{'0' * 64}.",
        f"1.sha256.{2**64}.{'0' * 64}.",
        f"1.sha256.0.{'0' * 64}.\n",
        f"1.sha256.0.{'G' * 64}.",
    ],
)
def test_a_state_out_of_range_never_reaches_the_library_even_well_sealed(text: str) -> None:
    for length in (0, 1, 63, 64, 2**60):
        assert unseal(with_good_seal(text), length=length) is None


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_any_text_at_all_is_refused_quietly(text: str) -> None:
    assert unseal(text) is None
    assert unseal(f"{text}.{'0' * 64}") is None


@given(
    words=st.lists(st.integers(-1, 2**64), min_size=7, max_size=9),
    length=st.integers(-1, 2**61),
    tail=st.binary(max_size=130),
    algorithm=st.sampled_from(["sha256", "sha512"]),
)
@settings(max_examples=300)
def test_a_state_that_exists_can_be_hashed_on(
    words: list[int], length: int, tail: bytes, algorithm: str
) -> None:
    try:
        state = HashState(algorithm, length, tuple(words), tail)
    except ValueError:
        return
    assert HashState.parse(str(state)) == state
    resumed = unseal(with_good_seal(str(state)), algorithm=algorithm, length=length)
    assert resumed is not None
    resumed.update(b"x" * 200)
    assert len(resumed.digest().hex) == hashlib.new(algorithm).digest_size * 2


@pytest.mark.parametrize("data", [bytearray(b"x"), memoryview(b"x"), "x"])
def test_only_bytes_are_hashed(data: Any) -> None:
    with pytest.raises((TypeError, ctypes.ArgumentError)):
        RunningHash.new("sha256").update(data)


def test_hashlib_alone_hashes_but_seals_nothing() -> None:
    running = RunningHash("sha512", PlainEngine("sha512"))
    running.update(b"x")
    assert running.digest().hex == hashlib.sha512(b"x").hexdigest()
    assert running.seal(KEY, "upload 1") is None


class Sha224InDisguise:
    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def __getitem__(self, name: str) -> Any:
        return self._library[name.replace("SHA256", "SHA224")]


def test_a_library_that_disagrees_with_hashlib_is_not_used() -> None:
    library = hashing._libcrypto()
    assert library is not None
    disguised: Any = Sha224InDisguise(library)
    assert hashing._agrees_with_hashlib(library)
    assert not hashing._agrees_with_hashlib(disguised)


def test_other_threads_run_while_the_library_hashes() -> None:
    library = hashing._libcrypto()
    assert library is not None
    # PyDLL would hold the interpreter; CDLL lets go.
    assert not isinstance(library, ctypes.PyDLL)
    assert isinstance(RunningHash.new("sha256")._engine, LibcryptoEngine)
