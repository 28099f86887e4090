"""What is read from /proc."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.processes import cpu_seconds, memory, parse_busy, parse_kib, parse_stat, reset_peak, tree


def test_a_name_with_parentheses_does_not_move_the_fields() -> None:
    line = "7 (odd) name)) S 1 7 7 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 9 9 9"
    assert parse_stat(line) == 127


def test_a_line_of_kib_is_bytes() -> None:
    assert parse_kib("VmPeak:\t 9 kB\nVmHWM:\t    12 kB\n", "VmHWM") == 12 * 1024
    assert parse_kib("", "VmHWM") == 0


def test_waiting_for_a_disk_is_idle() -> None:
    assert parse_busy("cpu 10 0 10 70 10 0 0 0 5 5\ncpu0 1\n") == (80, 100)


def test_a_child_belongs_to_the_tree() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert {os.getpid(), child.pid} <= set(tree(os.getpid()))
        child.communicate(b"\n")


def test_this_process_has_used_time_and_memory() -> None:
    reset_peak(os.getpid())
    held = memory(os.getpid())
    assert cpu_seconds(os.getpid()) > 0
    assert 0 < held.proportional <= held.resident
    assert held.peak > 0
