"""`scripts/check-readme` finds what is not true."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from types import ModuleType

import pytest
from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("check_readme", str(ROOT / "scripts" / "check-readme"))
    spec = importlib.util.spec_from_loader("check_readme", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up by name.
    sys.modules["check_readme"] = module
    loader.exec_module(module)
    return module


def test_only_blocks_of_a_console_are_run(script: ModuleType) -> None:
    page = "```sh\nrm -rf /\n```\n\n```console\n$ echo yes\nyes\n```\n"
    [block] = script.blocks(page)
    [command] = block.commands
    assert (command.line, command.text, command.output) == (6, "echo yes", ("yes",))


def test_a_command_goes_on_in_lines_that_bash_would_prompt_for(script: ModuleType) -> None:
    [block] = script.blocks("```console fails\n$ cat <<END\n> a\n> END\na\n$ false\n```\n")
    assert block.words == {"fails"}
    assert [command.text for command in block.commands] == ["cat <<END\na\nEND", "false"]


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["one", "three"], "one\ntwo\nthree\n"),
        (["sha256:" + "a" * 64], "sha256:" + "b" * 64),
        (
            ["Sign in as admin with   Teri-hega-soda-dahe-nide4"],
            "Sign in as admin with   Kelo-bida-soda-dahe-nide4",
        ),
        (["Storage (75 GB free)"], "Storage (3.1 TB free)"),
        (["ok … ms"], "ok    wrote in 12 ms"),
    ],
)
def test_what_differs_from_run_to_run_may_differ(script: ModuleType, shown: list[str], printed: str) -> None:
    assert script.missing(shown, printed) is None


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["one", "two"], "two\none\n"),
        (["Login Succeeded!"], "Error: unauthorized"),
        (["ready"], "almost ready"),
    ],
)
def test_what_is_not_printed_is_found(script: ModuleType, shown: list[str], printed: str) -> None:
    assert script.missing(shown, printed) is not None


def test_a_password_is_typed_when_it_is_asked_for(script: ModuleType) -> None:
    asked = 'read -r -s -p "Password: " word; echo; [ "$word" = open-sesame ] && echo in'
    terminal = script.Terminal(
        asked, folder=ROOT, environment={"PATH": "/usr/bin:/bin"}, password="open-sesame"
    )
    assert terminal.wait(20) == 0
    assert script.missing(["in"], terminal.printed) is None


def test_the_pages_have_something_to_run(script: ModuleType) -> None:
    for page in script.PAGES:
        found = list(script.blocks((ROOT / page).read_text(encoding="utf-8")))
        assert "server" in found[0].words
        assert sum(len(block.commands) for block in found) > 5
