"""Imported by every Python process that has this folder on PYTHONPATH: samples where CPU time goes.

A timer of CPU time interrupts the main thread; what each thread has used since the last interruption is
charged to the place where that thread is.  Nothing of the program is wrapped, so the proportions stay true.

The first SIGUSR2 throws away what was gathered so far, the second writes what was gathered since.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

_FOLDER = os.environ.get("BENCHMARKS_SAMPLES", "")
_INTERVAL = float(os.environ.get("BENCHMARKS_SAMPLE_SECONDS", "0.002"))
_DEPTH = 60

_stacks: Counter[str] = Counter()
_used: dict[int, int] = {}
_counting = False


def _name(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_filename}:{code.co_firstlineno}:{code.co_qualname}"


def _stack(frame: FrameType | None) -> str:
    """From the outermost call to the innermost."""
    names: list[str] = []
    while frame is not None and len(names) < _DEPTH:
        names.append(_name(frame))
        frame = frame.f_back
    return ";".join(reversed(names))


def _sample(_signal: int, interrupted: FrameType | None) -> None:
    frames = sys._current_frames()  # noqa: SLF001 - the only way to see other threads
    frames.pop(threading.get_ident(), None)
    if interrupted is not None:
        frames[threading.get_ident()] = interrupted
    for thread, frame in frames.items():
        try:
            now = time.clock_gettime_ns(time.pthread_getcpuclockid(thread))
        except OSError:
            continue  # It has ended since.
        spent = now - _used.get(thread, now)
        _used[thread] = now
        # What the sampler itself costs is not the program's.
        if spent > 0 and frame.f_code.co_filename != __file__:
            _stacks[_stack(frame)] += spent


def _stop() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)


def _write() -> None:
    _stop()
    lines = [f"{spent} {stack}\n" for stack, spent in _stacks.items()]
    path = Path(_FOLDER, f"{os.getpid()}.samples")
    # Whoever waits for the file finds all of it.
    part = path.with_suffix(".part")
    part.write_text("".join(lines), encoding="utf-8")
    part.rename(path)


def _mark(_signal: int, _frame: FrameType | None) -> None:
    global _counting  # noqa: PLW0603 - a signal handler has no object to keep it in
    if _counting:
        _write()
    else:
        _stacks.clear()
        _counting = True


def _begin() -> None:
    _stacks.clear()
    _used.clear()
    signal.signal(signal.SIGPROF, _sample)
    signal.signal(signal.SIGUSR2, _mark)
    signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)


if _FOLDER:
    _begin()
    # A timer is not inherited by a forked child.
    os.register_at_fork(after_in_child=_begin)
    # Towards its end the interpreter drops its handlers, and a signal then would kill it.
    atexit.register(_stop)
