"""Somebody who follows a how-to page from its first command to its last, in one shell.

The blocks are those of `scripts/check-readme`, and so is what counts as the same output.  What a page calls
`localhost:5000` is the registry of the test.  The files that a page says you have are there: `admin.password`, and of
a CI `ci.token` and `ci.keys.json`.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from tests.docs.pages import ROOT

from roadstead.testing.running import PASSWORD

REGISTRY = "localhost:5000"
ISSUER = "https://ci.example.com"
CLIENTS = ("docker", "podman", "skopeo", "buildah", "helm")
# Longest that a whole page may take, in seconds, on a machine that is busy with other things.
PATIENCE = 280.0

_CLIENT = re.compile(rf"(?:^|[|;&(] *)({'|'.join(CLIENTS)}) ", re.MULTILINE)
_MARK = "--- command"


@cache
def check_readme() -> ModuleType:
    """The script, as a module."""
    loader = importlib.machinery.SourceFileLoader("check_readme", str(ROOT / "scripts" / "check-readme"))
    spec = importlib.util.spec_from_loader("check_readme", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up by name.
    sys.modules["check_readme"] = module
    loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Step:
    line: int
    text: str
    output: Sequence[str]
    fails: bool

    @property
    def client(self) -> str | None:
        """The container client that it needs, if any."""
        found = _CLIENT.search(self.text)
        return found[1] if found else None


def steps(page: Path) -> Sequence[Step]:
    return [
        Step(
            command.line,
            command.text,
            command.output,
            command is block.commands[-1] and "fails" in block.words,
        )
        for block in check_readme().blocks(page.read_text(encoding="utf-8"))
        for command in block.commands
    ]


@dataclass(frozen=True)
class Place:
    """Where a page is followed."""

    folder: Path
    # What the page calls by another name.
    names: Mapping[str, str]
    environment: Mapping[str, str]

    def follow(self, chosen: Sequence[Step]) -> None:
        """Type every step, and fail at the first that does not end or print as the page says."""
        script = self.folder.parent / "page.sh"
        script.write_text("".join(map(self._typed, chosen)), encoding="utf-8")
        with (self.folder.parent / "printed").open("w+b") as printed:
            subprocess.run(
                ["bash", str(script)],
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                timeout=PATIENCE,
                check=False,
            )
            printed.seek(0)
            text = printed.read().decode(errors="replace")
        for name, real in self.names.items():
            text = text.replace(real, name)
        self._compare(chosen, text.split(f"{_MARK}\n")[1:])

    def _typed(self, step: Step) -> str:
        text = step.text
        for name, real in self.names.items():
            text = text.replace(name, real)
        wanted = "-ne" if step.fails else "-eq"
        return f"echo '{_MARK}'\n{text}\ncode=$?\n[ $code {wanted} 0 ] || {{ echo; echo exit code $code; exit; }}\n"

    def _compare(self, chosen: Sequence[Step], said: Sequence[str]) -> None:
        for number, step in enumerate(chosen):
            where = f"line {step.line}: {step.text}"
            assert number < len(said), f"{where}\nwas not reached"
            ended = number + 1 == len(said) and re.search(r"^exit code \d+$", said[number], re.MULTILINE)
            assert not ended, f"{where}\nended with {said[number]}"
            line = check_readme().missing(step.output, said[number])
            assert line is None, f"{where}\ndid not print   {line}\nbut:\n{said[number]}"


def place(folder: Path, port: int, **environment: str) -> Place:
    """A folder for somebody whose programs touch nothing of this machine's."""
    world = folder / "world"
    here = folder / "here"
    world.mkdir()
    here.mkdir()
    script = check_readme()
    made = script.with_podman_as_docker(script.client_environment(world, port), world, f"localhost:{port}")
    made.pop("ROADSTEAD_PORT")
    made["PATH"] = f"{Path(sys.executable).parent}:{made['PATH']}"
    (here / "admin.password").write_text(f"{PASSWORD}\n", encoding="utf-8")
    _identity_token(here)
    return Place(here, {REGISTRY: f"localhost:{port}"}, {**made, **environment})


def _identity_token(folder: Path) -> None:
    """What a build of `acme/app` is given by its CI, and the keys that it is signed with."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": "https://registry.example.com",
        "iat": now,
        "nbf": now - 5,
        "exp": now + 300,
        "jti": "build-1",
        "sub": "repo:acme/app:ref:refs/heads/main",
        "repository": "acme/app",
        "ref": "refs/heads/main",
    }
    token = jwt.encode(claims, key, "ES256", headers={"kid": "1"})
    (folder / "ci.token").write_text(token, encoding="utf-8")
    jwk = {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "1", "use": "sig", "alg": "ES256"}
    jwk.pop("key_ops", None)
    (folder / "ci.keys.json").write_text(json.dumps({"keys": [jwk]}), encoding="utf-8")


def is_here(client: str) -> bool:
    """Docker is podman's part where no daemon answers, as in `scripts/check-readme`."""
    return shutil.which("podman" if client == "docker" else client) is not None
