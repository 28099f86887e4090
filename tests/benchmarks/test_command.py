"""The command line of the benchmarks."""

from __future__ import annotations

import pytest
from benchmarks.__main__ import main
from benchmarks.lines import LINES


def test_no_two_lines_have_the_same_name() -> None:
    names = [line.name for line in LINES]
    assert len(names) == len(set(names))


def test_an_unknown_line_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--only", "nonsense"])
    assert ended.value.code == 2
    assert "manifest-get-tag" in capsys.readouterr().err


def test_an_unknown_peer_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--peers", "nonsense"])
    assert ended.value.code == 2
    assert "olareg" in capsys.readouterr().err
