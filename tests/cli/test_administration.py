"""Commands that speak the REST API: to the application in this process, and to a server."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Cli

from roadstead.cli.administration import Administration, Answer, path, repository_path
from roadstead.cli.exits import ExitCode
from roadstead.cli.local import Local
from roadstead.cli.logins import Login, forget_login, logins_path, save_login, saved_login
from roadstead.cli.refusals import Refused, refused
from roadstead.cli.remote import Remote, server_address
from roadstead.errors import Unavailable
from roadstead.testing.certificates import Authority
from roadstead.testing.running import ADMIN, PASSWORD, RunningRegistry, free_port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    with RunningRegistry(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture(autouse=True)
def own_logins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


# ── paths and addresses ─────────────────────────────────────────────────────────────────────────────────


def test_a_part_of_a_path_is_never_two() -> None:
    assert path("projects", "a/b c", 7) == "/projects/a%2Fb%20c/7"


def test_a_repository_s_slashes_are_encoded_twice() -> None:
    assert repository_path("team", "web/app", "artifacts") == (
        "/projects/team/repositories/web%252Fapp/artifacts"
    )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("registry.example.com", "https://registry.example.com"),
        ("https://Registry.example.com:8443/", "https://registry.example.com:8443"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("http://registry.example.com", "http://registry.example.com"),
    ],
)
def test_a_server_without_a_scheme_is_https_but_on_loopback(typed: str, meant: str) -> None:
    assert server_address(typed) == meant


@pytest.mark.parametrize("typed", ["", "ftp://x", "https://", "http://a:b@c", "http://x:99999", "http://x/p"])
def test_what_is_no_address_is_a_usage_error(cli: Cli, typed: str) -> None:
    ran = cli("project", "list", "--server", typed, "--username", "anna")
    assert ran.code == ExitCode.USAGE
    assert "is no address of a server" in ran.err


# ── inside this process ─────────────────────────────────────────────────────────────────────────────────


def test_the_operator_asks_the_application_without_a_server(registry: Path) -> None:
    with Local(None, None) as local:
        answer = Administration(local).get("/ping")
    assert (answer.status, answer.body) == (200, b"Pong")


def test_a_folder_without_a_registry_is_left_alone(cli: Cli) -> None:
    ran = cli("project", "list", "--data", "nowhere")
    assert ran.code == ExitCode.USAGE
    assert "no registry in nowhere yet" in ran.err
    assert not Path("nowhere").exists()


def test_a_server_and_a_folder_exclude_each_other(cli: Cli) -> None:
    ran = cli("project", "list", "--data", "x", "--server", "localhost")
    assert ran.code == ExitCode.USAGE
    assert "Use one" in ran.err


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, ExitCode.USAGE),
        (401, ExitCode.NOT_ALLOWED),
        (403, ExitCode.NOT_ALLOWED),
        (404, ExitCode.NOT_FOUND),
        (409, ExitCode.CONFLICT),
        (412, ExitCode.CONFLICT),
        (422, ExitCode.USAGE),
        (429, ExitCode.UNREACHABLE),
        (500, ExitCode.FAILED),
        (501, ExitCode.FAILED),
        (503, ExitCode.UNREACHABLE),
    ],
)
def test_each_refusal_has_its_exit_code(status: int, code: ExitCode) -> None:
    assert refused(status, {"errors": [{"code": "X", "message": "no"}]}).exit_code == code


@pytest.mark.parametrize("document", [None, [], {}, {"errors": []}, {"errors": ["x"]}, {"errors": 3}])
def test_a_refusal_without_words_is_one_too(document: object) -> None:
    assert str(refused(502, document)) == "the server answered 502, and did not say why"


class Canned:
    """Answers what it was told to, page after page."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def send(self, method: str, target: str, headers: object, body: bytes, sink: object = None) -> Answer:
        self.asked.append(f"{method} {target}")
        return self.answers.pop(0)


def test_a_list_is_read_to_its_last_page() -> None:
    pages = Canned(
        Answer(200, {}, json.dumps([{"n": n} for n in range(100)]).encode()), Answer(200, {}, b'[{"n": 100}]')
    )
    found = [row["n"] for row in Administration(pages).rows("/things", q="a=b c")]
    assert found == list(range(101))
    assert pages.asked[1] == "GET /api/v2.0/things?page=2&page_size=100&q=a%3Db+c"


def test_a_refusal_is_told_as_every_failure(cli: Cli, server: RunningRegistry) -> None:
    words = ["project", "list", "--server", server.url, "--username", "nobody"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROADSTEAD_PASSWORD", "wrong password")
        ran = cli(*words)
        assert (ran.code, ran.out) == (ExitCode.NOT_ALLOWED, "")
        assert ran.err.startswith("Error: ")
        entry = json.loads(cli(*words, "-o", "json").err)["errors"][0]
    assert entry["code"] == "UNAUTHORIZED"
    assert entry["detail"]["exit_code"] == ExitCode.NOT_ALLOWED


# ── a server ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_server_that_is_not_there_is_unreachable(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADSTEAD_PASSWORD", "x")
    ran = cli("project", "list", "--server", f"127.0.0.1:{free_port()}", "--username", "anna")
    assert ran.code == ExitCode.UNREACHABLE
    assert "does not answer: Connection refused" in ran.err


def test_a_login_is_kept_for_its_owner_alone(cli: Cli, server: RunningRegistry) -> None:
    ran = cli("login", server.url, "--username", ADMIN, "--password-stdin", stdin=PASSWORD.encode())
    assert ran.code == 0, ran.err
    assert PASSWORD not in ran.err + ran.out
    assert stat.S_IMODE(logins_path().stat().st_mode) == 0o600
    assert saved_login(server.url) == Login(ADMIN, PASSWORD)
    assert cli("project", "list", "--server", server.url, "-q").code in {0, 3}
    assert cli("logout", server.url).code == 0
    assert saved_login(server.url) is None
    assert cli("project", "list", "--server", server.url).code == ExitCode.USAGE


def test_a_wrong_password_is_not_kept(cli: Cli, server: RunningRegistry) -> None:
    ran = cli("login", server.url, "--username", ADMIN, "--password-stdin", stdin=b"wrong password")
    assert ran.code == ExitCode.NOT_ALLOWED
    assert not logins_path().exists()


def test_one_login_leaves_the_others_alone() -> None:
    save_login("https://a", Login("anna", "1"))
    save_login("https://b", Login("bert", "2"))
    assert forget_login("https://a")
    assert not forget_login("https://a")
    assert saved_login("https://b") == Login("bert", "2")


def test_a_file_of_logins_that_others_may_read_is_not_used(cli: Cli) -> None:
    save_login("https://a", Login("anna", "secret"))
    logins_path().chmod(0o644)
    ran = cli("project", "list", "--server", "https://a")
    assert ran.code == ExitCode.FAILED
    assert "chmod 600" in ran.err
    assert "secret" not in ran.err


def test_the_password_may_come_from_standard_input(cli: Cli, server: RunningRegistry) -> None:
    words = ["project", "list", "--server", server.url, "--username", ADMIN, "--password-stdin"]
    assert cli(*words, stdin=b"wrong password\n").code == ExitCode.NOT_ALLOWED
    assert cli(*words, stdin=f"{PASSWORD}\n".encode()).code in {0, 3}


def test_the_server_may_come_from_the_environment(
    cli: Cli, server: RunningRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SERVER", server.url), ("USERNAME", ADMIN), ("PASSWORD", "wrong password")):
        monkeypatch.setenv(f"ROADSTEAD_{name}", value)
    assert cli("project", "list").code == ExitCode.NOT_ALLOWED
    # Commands that read settings are not disturbed by them.
    assert cli("config", "validate").code == 0


def test_a_server_is_trusted_by_its_authority_alone(cli: Cli, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    certified = authority.certify(tmp_path / "tls", ["127.0.0.1"])
    data = tmp_path / "data"
    with RunningRegistry(data, certificate=certified.certificate, key=certified.key) as running:
        words = ["login", running.url, "--username", ADMIN, "--password-stdin"]
        ran = cli(*words, stdin=PASSWORD.encode())
        assert ran.code == ExitCode.UNREACHABLE
        assert "--ca-file" in ran.err
        assert cli(*words, "--ca-file", str(authority.path), stdin=PASSWORD.encode()).code == 0


def test_a_redirect_is_not_followed(server: RunningRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    class Redirecting:
        status = 307
        headers = {"Location": "https://elsewhere"}  # noqa: RUF012 - a stand-in

        def read(self) -> bytes:
            return b""

    with Remote(server.url, None) as remote:
        monkeypatch.setattr(remote._connection, "getresponse", Redirecting)
        with pytest.raises(Unavailable, match="redirects to https://elsewhere"):
            remote.send("GET", "/", {}, b"")


def test_a_password_over_plain_http_to_elsewhere_is_warned_about(capsys: pytest.CaptureFixture[str]) -> None:
    with Remote("http://registry.example.com", Login("anna", "secret")):
        pass
    said = capsys.readouterr().err
    assert "plain HTTP" in said
    assert "secret" not in said


def test_refusals_are_exceptions_of_their_own() -> None:
    with pytest.raises(Refused) as caught:
        Administration(Canned(Answer(404, {}, b"{}"))).get("/x")
    assert caught.value.code == "UNKNOWN"
