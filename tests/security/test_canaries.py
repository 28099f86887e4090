"""Secrets are told once, to whoever asked for them, and are nowhere else (L1-L9).

Every secret of this run is a string that nothing else could hold.  Everything is driven with debug logging on, well
and badly; then the strings are looked for in the logs, in the answers, in the database, on the disk and in what
Linux tells of the processes.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from psycopg import sql
from tests.compat.pushing import API, Pusher

from roadstead.testing.postgres import PostgresServer
from roadstead.testing.running import ADMIN, RunningRegistry, children_of

pytestmark = pytest.mark.timeout(900)

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SECRET_FIELDS = {"password", "new_password", "old_password", "secret", "token"}


@dataclass
class Canaries:
    """What must not be found, by what it is."""

    known: dict[str, str] = field(default_factory=dict)

    def new(self, name: str) -> str:
        """A password that fits every rule."""
        return self.keep(name, f"Canary-7-{secrets.token_hex(12)}")

    def keep(self, name: str, secret: str) -> str:
        assert len(secret) > 8, name
        self.known[name] = secret
        return secret

    def found(self, text: str, *, but: tuple[str, ...] = ()) -> list[str]:
        return [
            name
            for name, secret in self.known.items()
            if name not in but and any(form in text for form in forms(secret))
        ]


def forms(secret: str) -> Iterator[str]:
    """As it is, and as it is written in addresses and in Basic credentials."""
    yield secret
    yield quote(secret, safe="")
    # Base64 in each of the three places that it may begin at, without the ends that depend on the neighbours.
    for offset in range(3):
        yield base64.b64encode(b"x" * offset + secret.encode()).decode()[4:-4]


@dataclass
class Run:
    registry: RunningRegistry
    canaries: Canaries
    folder: Path
    # Which request, and what it was told that it should not have been.
    leaks: list[str] = field(default_factory=list)
    requests: int = 0

    def __post_init__(self) -> None:
        self.admin = Pusher(self.registry, ADMIN, self.canaries.known["administrator"])
        self.clients = [self.admin.http]
        self.http = self.client()

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def client(self, username: str = "", password: str = "") -> httpx.Client:
        """Somebody's, or nobody's."""
        auth = httpx.BasicAuth(username, password) if username else None
        made = httpx.Client(base_url=self.registry.url, auth=auth, timeout=60, trust_env=False)
        self.clients.append(made)
        return made

    def ask(
        self, method: str, path: str, *, client: httpx.Client | None = None, shows: bool = False, **more: Any
    ) -> httpx.Response:
        """With `shows`, this answer is the one that tells a secret."""
        answer = (client or self.admin.http).request(method, path, **more)
        self.requests += 1
        if not shows:
            text = "\n".join([*(f"{k}: {v}" for k, v in answer.headers.items()), answer.text])
            self.leaks += [f"{method} {path}: {name}" for name in self.canaries.found(text)]
        assert answer.status_code != 500, (method, path, answer.text)
        return answer

    def cli(self, *words: str, stdin: str = "", shows: bool = False) -> str:
        environment = {name: text for name, text in os.environ.items() if not name.startswith("ROADSTEAD_")}
        environment |= {"ROADSTEAD_LOG__LEVEL": "debug", "XDG_CONFIG_HOME": str(self.folder / "home")}
        environment["ROADSTEAD_CONFIG"] = str(self.folder / "config.yaml")
        ran = subprocess.run(
            [sys.executable, "-m", "roadstead", *words],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            timeout=120,
        )
        assert ran.returncode == 0, (words, ran.stderr)
        said = ran.stderr + ("" if shows else ran.stdout)
        self.leaks += [f"{' '.join(words)}: {name}" for name in self.canaries.found(said)]
        return ran.stdout


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.slow])])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Run]:
    canaries = Canaries()
    password_file = tmp_path / "admin.password"
    password_file.write_text(canaries.new("administrator"))
    config: dict[str, object] = {"data": str(tmp_path / "data"), "log": {"level": "debug"}}
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create_database()
        # The server asks for no password; the registry does not know that.
        with_password = url.replace("postgres@", f"postgres:{canaries.new('database')}@")
        config["database"] = {"url": with_password}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    registry = RunningRegistry(
        tmp_path / "data",
        workers=2,
        ready_within=180,
        environment={
            "ROADSTEAD_CONFIG": str(tmp_path / "config.yaml"),
            "ROADSTEAD_ADMIN_PASSWORD": "",
            "ROADSTEAD_ADMIN_PASSWORD_FILE": str(password_file),
        },
    )
    with registry:
        made = Run(registry, canaries, tmp_path)
        yield made
        made.close()
    if request.param == "postgresql":
        server.drop_database(url)


def test_L_no_secret_is_anywhere_but_where_it_was_asked_for(run: Run, request: pytest.FixtureRequest) -> None:
    ids = prepare(run)
    every_operation(run, ids)
    wrong_proofs(run)
    command_line(run)
    # What is written down later is written down now.
    time.sleep(2)
    assert run.leaks == []
    assert run.requests > 100
    processes(run)
    run.registry.stop()
    assert run.canaries.found(run.registry.log_path.read_text(errors="replace")) == []
    assert run.canaries.found(database(run)) == []
    for file in (run.folder / "data").rglob("*"):
        if file.is_file():
            assert run.canaries.found(file.read_bytes().decode("latin-1")) == [], file


# ── driving ─────────────────────────────────────────────────────────────────────────────────────────────


def prepare(run: Run) -> Mapping[str, object]:
    """One of everything, with a secret wherever there can be one."""
    canaries = run.canaries
    run.ask("POST", f"{API}/projects", json={"project_name": "canary", "public": False})
    run.admin.image("canary/app", "1")
    user = {"username": "wren", "email": "wren@example.com", "realname": "Wren"}
    made = run.ask("POST", f"{API}/users", json={**user, "password": canaries.new("user")})
    assert made.status_code == 201, made.text
    number = int(made.headers["location"].rpartition("/")[2])
    changed = {"old_password": canaries.known["user"], "new_password": canaries.new("user's next")}
    wren = run.client("wren", canaries.known["user"])
    assert run.ask("PUT", f"{API}/users/{number}/password", client=wren, json=changed).status_code == 200
    wren.auth = httpx.BasicAuth("wren", canaries.known["user's next"])
    tokens(run, wren)
    robot = robots(run)
    run.ask("POST", f"{API}/labels", json={"name": "bird", "scope": "g"})
    return {"user_id": number, "robot_id": robot}


def tokens(run: Run, wren: httpx.Client) -> None:
    canaries = run.canaries
    answer = run.ask("POST", f"{API}/users/current/tokens", client=wren, shows=True, json={"name": "laptop"})
    assert answer.status_code == 201, answer.text
    canaries.keep("login token", answer.json()["token"])
    with_token = httpx.BasicAuth("wren", canaries.known["login token"])
    assert run.ask("GET", f"{API}/users/current", client=wren, auth=with_token).status_code == 200
    scope = {"service": "roadstead", "scope": "repository:canary/app:pull", "offline_token": "true"}
    issued = run.ask("GET", "/service/token", params=scope, shows=True).json()
    canaries.keep("registry token", issued["token"])
    if "refresh_token" in issued:
        canaries.keep("refresh token", issued["refresh_token"])
    bearer = {"Authorization": f"Bearer {issued['token']}"}
    assert run.ask("GET", "/v2/canary/app/manifests/1", client=run.http, headers=bearer).status_code == 200
    form = {"principal": "wren", "password": canaries.known["user's next"]}
    begun = run.ask("POST", "/c/login", client=run.http, shows=True, data=form)
    assert begun.status_code == 200, begun.text
    for name, cookie in begun.cookies.items():
        canaries.keep(f"cookie {name}", cookie)
    assert run.ask("GET", f"{API}/users/current", client=run.http).status_code == 200
    run.ask("POST", "/c/log_out", client=run.http)
    run.http.cookies.clear()


def robots(run: Run) -> int:
    """A robot that has been given every kind of secret."""
    canaries = run.canaries
    access = [{"resource": "repository", "action": "pull"}]
    block = {"kind": "project", "namespace": "canary", "access": access}
    wanted = {"name": "ci", "level": "project", "duration": 30, "permissions": [block]}
    made = run.ask("POST", f"{API}/robots", shows=True, json=wanted).json()
    canaries.keep("robot", made["secret"])
    path = f"{API}/robots/{made['id']}"
    canaries.keep("robot's next", run.ask("PATCH", path, shows=True, json={}).json()["secret"])
    chosen = {"secret": canaries.new("robot's chosen")}
    assert run.ask("PATCH", path, json=chosen).status_code == 200
    robot = httpx.BasicAuth(made["name"], chosen["secret"])
    assert run.ask("GET", "/v2/canary/app/manifests/1", client=run.http, auth=robot).status_code == 200
    identity_tokens(run, path, made["name"])
    return int(made["id"])


def identity_tokens(run: Run, path: str, robot: str) -> None:
    """A CI system's token, for what stands in place of the robot's secret."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "1", "alg": "ES256", "use": "sig"}
    issuer = {
        "name": "ci",
        "issuer": "https://ci.example",
        "audience": "roadstead",
        "jwks": {"keys": [public]},
    }
    assert run.ask("POST", f"{API}/issuers", json=issuer).status_code == 201
    trust = run.ask("POST", f"{path}/trusts", json={"issuer": "ci", "claims": {"sub": "bird"}})
    assert trust.status_code == 201, trust.text
    now = int(time.time())
    claims = {"iss": "https://ci.example", "aud": "roadstead", "sub": "bird", "iat": now, "nbf": now}
    token = jwt.encode({**claims, "exp": now + 300, "jti": "1"}, key, "ES256", headers={"kid": "1"})
    run.canaries.keep("identity token", token)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "subject_token": token,
        "audience": robot,
    }
    answer = run.ask("POST", "/service/token", client=run.http, shows=True, data=form)
    assert answer.status_code == 200, answer.text
    run.canaries.keep("exchanged secret", answer.json()["access_token"])
    bad = {**form, "subject_token": token[:-8] + "AAAAAAAA"}
    assert run.ask("POST", "/service/token", client=run.http, data=bad).status_code in {400, 401}


def every_operation(run: Run, ids: Mapping[str, object]) -> None:
    """Each of the API's, with a secret in every field that may hold one, of the right form and of another."""
    document = run.ask("GET", f"{API}/openapi.json").json()
    values = {
        "project_name": "canary",
        "project_name_or_id": "canary",
        "repository_name": "app",
        "reference": "1",
        "tag_name": "other",
        "meta_name": "auto_scan",
        "addition": "build_history",
        **ids,
    }
    for path, operations in document["paths"].items():
        target = re.sub(r"{(\w+)}", lambda found: str(values.get(found[1], 999)), path)
        for method, operation in operations.items():
            if "501" in operation["responses"] and "201" not in operation["responses"]:
                # It reads nothing of what is sent.
                continue
            if method == "get":
                run.ask("GET", target, params={"q": f"name=~{run.canaries.known['user'][:5]}"})
                run.ask("GET", target)
            elif method in {"post", "put", "patch"}:
                _badly(run, method, target)


def _badly(run: Run, method: str, target: str) -> None:
    secret = run.canaries.known.setdefault("sent badly", f"Canary-7-{secrets.token_hex(12)}")
    for value in (secret + "\0", [secret], {"in": secret}, secret * 200):
        run.ask(method.upper(), target, json=dict.fromkeys(SECRET_FIELDS, value))
    run.ask(
        method.upper(),
        target,
        content=f'{{"password": "{secret}"',
        headers={"Content-Type": "application/json"},
    )


def wrong_proofs(run: Run) -> None:
    """Whatever somebody shows in error is a secret too: it is good somewhere else."""
    wrong = run.canaries.new("wrong password")
    for name in (ADMIN, "nobody", "robot$canary+ci", wrong):
        basic = httpx.BasicAuth(name, wrong)
        for path in ("/v2/", "/service/token", f"{API}/users/current"):
            run.ask("GET", path, client=run.http, auth=basic)
        run.ask("POST", "/c/login", client=run.http, data={"principal": name, "password": wrong})
    for header in (f"Bearer {wrong}", f"Negotiate {wrong}", f"Basic {wrong}"):
        for path in ("/v2/", f"{API}/users/current"):
            run.ask("GET", path, client=run.http, headers={"Authorization": header})
    run.ask("GET", f"/v2/?token={wrong}", client=run.http)
    run.ask("GET", f"{API}/projects?password={wrong}&code={wrong}", client=run.http)
    run.ask("GET", "/v2/", client=run.http, headers={"Cookie": f"sid={wrong}; other={wrong}"})
    grant = {"grant_type": "password", "username": ADMIN, "password": wrong, "service": "roadstead"}
    run.ask("POST", "/service/token", client=run.http, data=grant)


def command_line(run: Run) -> None:
    canaries = run.canaries
    run.cli("user", "create", "robin", "--password-stdin", stdin=canaries.new("by command") + "\n")
    generated = run.cli("user", "create", "tit", "--generate-password", "--output", "json", shows=True)
    canaries.keep("generated", json.loads(generated)["password"])
    secret = run.folder / "robot.secret"
    given = ["--project", "canary", "--allow", "pull", "--secret-file", str(secret)]
    run.cli("robot", "create", "deploy", *given)
    assert secret.stat().st_mode & 0o077 == 0
    canaries.keep("robot by command", secret.read_text().strip())
    for words in (["user", "list"], ["robot", "list"], ["session", "list", "wren"]):
        run.cli(*words)
    run.cli("config", "show")
    login = ["login", run.registry.url, "--username", ADMIN, "--password-stdin"]
    run.cli(*login, stdin=canaries.known["administrator"] + "\n")
    for file in (run.folder / "home").rglob("*"):
        assert file.is_dir() or file.stat().st_mode & 0o077 == 0
    run.cli("user", "list", "--server", run.registry.url)
    run.cli("audit", "list", "--server", run.registry.url)


# ── looking ─────────────────────────────────────────────────────────────────────────────────────────────


def processes(run: Run) -> None:
    """What everybody on the machine, or the same account, may read of the server and its workers."""
    waiting, seen = [run.registry.pid], 0
    while waiting:
        pid = waiting.pop()
        waiting += children_of(pid)
        for name in ("cmdline", "environ"):
            text = Path(f"/proc/{pid}/{name}").read_bytes().decode("latin-1")
            assert run.canaries.found(text) == [], (pid, name)
        seen += 1
    assert seen >= 3


def database(run: Run) -> str:
    """Every row of every table, as text."""
    config = json.loads((run.folder / "config.yaml").read_text())
    if "database" not in config:
        # The file itself is looked through with all the others.
        return ""
    lines = []
    with psycopg.connect(config["database"]["url"]) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            rows = connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table)))
            lines += [str(row[0]) for row in rows]
    assert len(lines) > 50
    return "\n".join(lines)
