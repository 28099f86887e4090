"""The document that describes the API is true: whatever is sent, an answer is one that it describes, and no 500.

Schemathesis makes the requests, good and bad, from the document itself; they go to the application without a
socket.  `COMPAT_EXAMPLES` says how many there are for each operation.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.registry.actors import Actor
from tests.registry.asgi import Answer
from tests.registry.registries import Registry, open_registry, settings_of

from roadstead.api.server import create_web

pytestmark = pytest.mark.timeout(3600)

EXAMPLES = int(os.environ.get("COMPAT_EXAMPLES", "4"))
# That there is no 500 is what `asgi.check` sees to; 501 is an answer.
CHECKS: list[Callable[..., bool | None]] = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DOCUMENT = create_web().openapi()
OPERATIONS = [
    (method.upper(), path)
    for path, operations in DOCUMENT["paths"].items()
    for method in operations
    # What is not built answers nothing else, to everybody.
    if "501" not in operations[method]["responses"]
]
T = TypeVar("T")


class Served:
    """A registry on an event loop of its own, for callers that know of none."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._over: asyncio.Event
        self._closed: Any = None
        self.registry = self.run(self._open(folder, database_url))
        self._secret = self.run(
            self.registry.scalar("SELECT password_hash FROM users WHERE username = 'root'")
        )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    def mend(self) -> None:
        """Let those who ask be who they were, from where they are, whatever was done to them."""
        self.run(self.registry.change(USERS_MENDED, secret=self._secret))
        self.run(self.registry.change("DELETE FROM configurations"))
        self.run(self.registry.change("UPDATE projects SET network_rules = ''"))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._closed.result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self, folder: Path, database_url: str) -> Registry:
        self._over = asyncio.Event()
        opened: asyncio.Future[Registry] = asyncio.get_running_loop().create_future()
        self._closed = asyncio.run_coroutine_threadsafe(self._serve(folder, database_url, opened), self._loop)
        return await opened

    async def _serve(self, folder: Path, database_url: str, opened: asyncio.Future[Registry]) -> None:
        # Whatever is changed at random must not end the run: nobody is locked out for their tries.
        wanted = settings_of(folder, database_url, auth={"max_failures": 1_000_000})
        async with open_registry(wanted) as registry:
            await registry.root.push_image("a/app", "1")
            opened.set_result(registry)
            await self._over.wait()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        database = folder / "roadstead.db"
        database.write_bytes(template.read_bytes())
        url = f"sqlite:///{database}"
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.create_database(template=request.getfixturevalue("postgres_template"))
    found = Served(folder / "data", url)
    yield found
    found.close()
    if request.param == "postgresql":
        server.drop_database(url)


def sent(served: Served, actor: Actor, case: Any) -> schemathesis.Response:
    """The request of a case, through the application."""
    prepared = requests.Request(**case.as_transport_kwargs(base_url="http://registry.example")).prepare()
    parts = urlsplit(str(prepared.url))
    target = quote(parts.path, safe="/%:@!$&'()*+,;=~") + (f"?{parts.query}" if parts.query else "")
    body = prepared.body or b""
    assert isinstance(body, bytes | str)
    body = body.encode() if isinstance(body, str) else body
    headers = {
        name: value if isinstance(value, str) else value.decode("latin-1")
        for name, value in prepared.headers.items()
        if name.lower() not in {"content-length", "authorization", "host", "cookie"}
    }
    answer = served.run(actor.request(case.method, target.encode(), body, headers))
    return as_response(answer, prepared)


def as_response(answer: Answer, prepared: requests.PreparedRequest) -> schemathesis.Response:
    headers: dict[str, list[str]] = {}
    for name, value in answer.headers:
        headers.setdefault(name, []).append(value)
    return schemathesis.Response(
        status_code=answer.status,
        headers=headers,
        content=answer.body,
        request=prepared,
        elapsed=0.0,
        verify=False,
    )


# Harbor says that there is nothing with a body of nothing, and its clients look for that.
EMPTY = {("GET", "/api/v2.0/system/purgeaudit/schedule")}
# What is there, so that not every request is for something that is not.
KNOWN = {
    "project_name": "a",
    "project_name_or_id": "a",
    "repository_name": "app",
    "reference": "1",
    "tag_name": "1",
    "user_id": 3,
}
USERS_MENDED = (
    "UPDATE users SET credential_epoch = 1, disabled = (1 = 0), password_state = 0, expires_at = NULL,"
    " password_hash = :secret, admin = (username = 'root') WHERE username IN ('root', 'alice')"
)


@st.composite
def cases(draw: st.DrawFn, operation: Any) -> tuple[str, Any]:
    """Who asks, and what: as the document says it should be, or not at all so."""
    mode = draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
    try:
        case = draw(operation.as_strategy(mode))
    except Unsatisfiable:
        # Nothing that could be sent would be wrong.
        case = draw(operation.as_strategy(GenerationMode.POSITIVE))
    if mode is GenerationMode.POSITIVE and draw(st.booleans()):
        case.path_parameters = {name: KNOWN.get(name, value) for name, value in case.path_parameters.items()}
    return draw(st.sampled_from(["root", "alice", ""])), case


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda part: str(part).removeprefix("/api/v2.0"))
def test_every_answer_is_one_that_the_document_describes(served: Served, method: str, path: str) -> None:
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method]
    served.mend()
    actors = {"": served.registry.anon, "root": served.registry.root, "alice": served.registry.alice}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="COMPAT_EXAMPLES" not in os.environ,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(operation))
    def answers(drawn: tuple[str, Any]) -> None:
        who, case = drawn
        response = sent(served, actors[who], case)
        bare = (method, path) in EMPTY and not response.content
        case.validate_response(response, checks=CHECKS[:1] if bare else CHECKS)

    answers()
