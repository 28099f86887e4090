"""The one way in which commands administer: they speak the REST API, to a server or to the application itself.

With `--server` a command signs in like any other client; without it, the same application answers inside this
process, on the database of the installation that `--data` or `--config` names (see `local.py`).
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode

import click

from roadstead.cli.options import data_options
from roadstead.cli.refusals import refused
from roadstead.cli.terminal import may_ask

if TYPE_CHECKING:
    from roadstead.cli.logins import Login

PREFIX = "/api/v2.0"
_PAGE = 100
FIRST_REFUSAL = 400
_NOT_SIGNED_IN = 401


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.  The names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        """The last part of `Location`: the number of what was made."""
        return self.headers.get("location", "").rpartition("/")[2]


# Takes a body piece by piece.
Sink = Callable[[bytes], object]


class Transport(Protocol):
    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, sink: Sink | None = None
    ) -> Answer:
        """One request, with its path and query encoded.  Raises `Unavailable` when nobody answers.

        `sink` is given the body of a success as it comes; the answer then has none.
        """


def path(*parts: str | int) -> str:
    """A path of parts that name things.  A slash in one is no slash of the path."""
    return "/" + "/".join(quote(str(part), safe="$@:") for part in parts)


def repository_path(project: str, repository: str, *more: str | int) -> str:
    """The path of a repository, whose name the API wants encoded twice when a slash is in it."""
    return path("projects", project, "repositories", quote(repository, safe=""), *more)


class Administration:
    """Asks the admin API.  Paths come after `/api/v2.0`.  A refusal is raised as `Refused`."""

    def __init__(self, transport: Transport, login: tuple[str, Login] | None = None) -> None:
        self._transport = transport
        # Where somebody signed in, and as whom; without it the operator asks.
        self.login = login

    def get(self, path: str, **query: object) -> Answer:
        return self._ask("GET", path, query=query)

    def save(self, path: str, sink: Sink, **query: object) -> None:
        """Give what may be long to `sink`, piece by piece."""
        self._ask("GET", path, query=query, sink=sink)

    def post(self, path: str, json: object = None, **query: object) -> Answer:
        return self._ask("POST", path, json, query)

    def put(self, path: str, json: object = None, **query: object) -> Answer:
        return self._ask("PUT", path, json, query)

    def patch(self, path: str, json: object = None, **query: object) -> Answer:
        return self._ask("PATCH", path, json, query)

    def delete(self, path: str, **query: object) -> Answer:
        return self._ask("DELETE", path, query=query)

    def rows(self, path: str, **query: object) -> Iterator[dict[str, Any]]:
        """Everything in a list, page after page."""
        page = 1
        while True:
            found = self.get(path, page=page, page_size=_PAGE, **query).json
            yield from found
            if len(found) < _PAGE:
                return
            page += 1

    def _ask(
        self,
        method: str,
        path: str,
        document: object = None,
        query: Mapping[str, object] | None = None,
        sink: Sink | None = None,
    ) -> Answer:
        asked = {name: _word(value) for name, value in (query or {}).items() if value is not None}
        target = PREFIX + path + (f"?{urlencode(asked)}" if asked else "")
        # People at a command line mean names: a project called 2026 is one.
        headers = {"Accept": "*/*", "X-Is-Resource-Name": "true"}
        body = b""
        if document is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(document).encode()
        answer = self._transport.send(method, target, headers, body, sink)
        if answer.status >= FIRST_REFUSAL:
            raise refused(
                answer.status, _document(answer), _remedy(answer.status, remote=self.login is not None)
            )
        return answer


def _word(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _document(answer: Answer) -> object:
    try:
        return answer.json
    except ValueError:
        return None


def _remedy(status: int, *, remote: bool) -> str:
    if remote and status == _NOT_SIGNED_IN:
        return "check the name and the password; sign in with: roadstead login SERVER"
    return ""


# ── options ─────────────────────────────────────────────────────────────────────────────────────────────


def administered(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say whom to ask, and `admin`, an `Administration`, as its first argument."""
    return _whom_to_ask(_connected(command, stdin=True), stdin=True)


def administered_apart(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same where standard input is the command's own, and never the password to sign in with."""
    return _whom_to_ask(_connected(command, stdin=False), stdin=False)


def _connected(command: Callable[..., Any], *, stdin: bool) -> Callable[..., Any]:
    @functools.wraps(command)
    def connected(
        *args: Any,
        config_file: Path | None,
        data: str | None,
        server: str | None,
        sign_in_as: str | None,
        ca_file: Path | None,
        **kwargs: Any,
    ) -> Any:
        password = _from_stdin() if stdin and kwargs.pop("login_stdin") else None
        if server is None:
            from roadstead.cli.local import Local

            with Local(config_file, data) as local:
                return command(Administration(local), *args, **kwargs)
        if data is not None or config_file is not None:
            raise click.UsageError(
                "--server asks a running server; --data and --config name a folder. Use one."
            )
        from roadstead.cli.remote import Remote

        address, login = signing_in(server, sign_in_as, password)
        with Remote(address, login, ca_file=ca_file) as remote:
            return command(Administration(remote, (address, login)), *args, **kwargs)

    return connected


def _whom_to_ask(function: Callable[..., Any], *, stdin: bool) -> Callable[..., Any]:
    function = data_options(function)
    function = click.option(
        "--ca-file", type=click.Path(path_type=Path), metavar="FILE", envvar="ROADSTEAD_CA_FILE",
        help="Trust certificates of this authority, PEM. [env: ROADSTEAD_CA_FILE]",
    )(function)  # fmt: skip
    if stdin:
        function = click.option(
            "--password-stdin", "login_stdin", is_flag=True,
            help="Read the password to sign in with from standard input. Else: ROADSTEAD_PASSWORD, or"
            " what `roadstead login` saved.",
        )(function)  # fmt: skip
    function = click.option(
        "--username", "sign_in_as", metavar="NAME", envvar="ROADSTEAD_USERNAME",
        help="Sign in to the server as this account. [env: ROADSTEAD_USERNAME]",
    )(function)  # fmt: skip
    return click.option(
        "--server", metavar="URL", envvar="ROADSTEAD_SERVER",
        help="Ask this server. Without it, work on the data itself. [env: ROADSTEAD_SERVER]",
    )(function)  # fmt: skip


def signing_in(server: str, username: str | None, password: str | None) -> tuple[str, Login]:
    """The server's address, and whoever the options, the environment or `roadstead login` name."""
    from roadstead.cli.logins import Login, saved_login
    from roadstead.cli.remote import server_address

    address = server_address(server)
    saved = saved_login(address)
    username = username or (saved.username if saved else None)
    if username is None:
        raise click.UsageError(
            f"nobody is signed in to {address}. Add --username NAME, or run: roadstead login {server}"
        )
    password = password or os.environ.get("ROADSTEAD_PASSWORD")
    if not password:
        kept = saved.password if saved is not None and saved.username == username else None
        password = kept or ask_password(username)
    return address, Login(username, password)


def ask_password(username: str) -> str:
    if not may_ask():
        raise click.UsageError(
            f"the password of {username} is needed, and nobody is here to type it. Set ROADSTEAD_PASSWORD,"
            " or sign in first: roadstead login"
        )
    answer: str = click.prompt(f"Password for {username}", hide_input=True, err=True)
    return answer


def _from_stdin() -> str:
    from roadstead.cli.passwords import whole_line

    return whole_line(sys.stdin.buffer.read(), "standard input")
