"""Where CPU time goes, from samples of real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import benchmarks.profile as profiler

BURNER = """
import sys, time

def burn():
    return sum(number * number for number in range(1000))

print("ready", flush=True)
while True:
    burn()
"""


def test_own_time_is_the_innermost_functions() -> None:
    stacks = profiler.read_samples(["5 a;b\n", "3 a\n", "2 a;b;a\n"])
    assert profiler.own_time(stacks) == {"b": 5, "a": 5}


def test_recursion_counts_once() -> None:
    stacks = profiler.read_samples(["5 a;b\n", "3 a\n", "2 a;b;a\n"])
    assert profiler.total_time(stacks) == {"a": 10, "b": 7}


def test_a_name_loses_the_folders_that_all_have() -> None:
    assert profiler.short("/v/lib/python3.11/site-packages/starlette/x.py:3:f") == "starlette/x.py:3 f"
    assert profiler.short("/usr/lib/python3.11/json/x.py:5:g") == "json/x.py:5 g"
    assert profiler.short("/home/src/roadstead/y.py:4:C.g") == "roadstead/y.py:4 C.g"


def test_the_sampler_finds_the_function_that_burns(tmp_path: Path) -> None:
    settings = os.environ | {"PYTHONPATH": str(profiler.SAMPLER), "BENCHMARKS_SAMPLES": str(tmp_path)}
    command = [sys.executable, "-c", BURNER]
    with subprocess.Popen(command, env=settings, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGUSR2)
        # Time to be sampled in is what this is about.
        time.sleep(0.5)
        child.send_signal(signal.SIGUSR2)
        profiler.wait_for_samples(tmp_path, [child.pid])
        child.kill()
    with (tmp_path / f"{child.pid}.samples").open(encoding="utf-8") as file:
        stacks = profiler.read_samples(file)
    whole = sum(stacks.values())
    burnt = sum(spent for name, spent in profiler.total_time(stacks).items() if name.endswith(":burn"))
    assert burnt > 0.9 * whole > 0


def test_a_sampled_process_ends_as_it_would(tmp_path: Path) -> None:
    settings = os.environ | {"PYTHONPATH": str(profiler.SAMPLER), "BENCHMARKS_SAMPLES": str(tmp_path)}
    # Its last act takes time: the handlers are gone by then.
    code = "import sys; sys.held = type('', (), {'__del__': lambda self: sum(range(10**7))})(); sys.exit(3)"
    ended = subprocess.run([sys.executable, "-c", code], env=settings, check=False)
    assert ended.returncode == 3
