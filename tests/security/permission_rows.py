"""One row for every operation of the API and of `/v2`: what it takes, and a request that whoever has it may make.

The rows are data for `test_permission_matrix.py`, which fails when an operation that is served has none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.registry.actors import digest_of, encoded
from tests.security.stage import Somebody, Stage, selectors_of

from roadstead.oci.media_types import OCI_MANIFEST

API = "/api/v2.0"


@dataclass(frozen=True)
class Need:
    """What an operation takes.

    "nothing", "sign-in", "person" (signed in, and no robot), "project" and "repository" (a permission there),
    "system" (a permission in the registry as a whole), "administrator".
    """

    kind: str
    permission: str = ""


NOTHING = Need("nothing")
SIGN_IN = Need("sign-in")
PERSON = Need("person")
ADMINISTRATOR = Need("administrator")


def project(permission: str) -> Need:
    return Need("project", permission)


def repository(permission: str) -> Need:
    return Need("repository", permission)


def system(permission: str) -> Need:
    return Need("system", permission)


# What stands for a parameter of a path, or is a body: made anew whenever it may have been used up.
Maker = Callable[[Stage, Somebody], Awaitable[Any]]


@dataclass(frozen=True)
class Row:
    method: str
    # As the application's own table has it.
    path: str
    need: Need
    ok: int = 200
    body: Maker | object = None
    query: str = ""
    params: Mapping[str, Maker] = field(default_factory=dict)
    # Of rows with the same method and path.
    variant: str = ""
    # Whoever lacks this where the thing belongs does not learn that it is there.
    hidden: str = ""
    # Answers of its own: column → status.
    but: Mapping[str, int] = field(default_factory=dict)

    @property
    def reads(self) -> bool:
        return self.method in {"GET", "HEAD"}

    def __str__(self) -> str:
        return f"{self.method} {self.path}{self.query}" + (f" ({self.variant})" if self.variant else "")


@dataclass
class Request:
    target: str
    body: bytes = b""


async def _place(stage: Stage, who: Somebody) -> str:
    return who.place


async def _path(stage: Stage, who: Somebody) -> str:
    return who.path


async def _member(stage: Stage, who: Somebody) -> int:
    return await stage.member(who.place)


async def _project_label(stage: Stage, who: Somebody) -> int:
    return await stage.label(who.place)


async def _global_label(stage: Stage, who: Somebody) -> int:
    return await stage.label(None)


async def _rule(stage: Stage, who: Somebody) -> int:
    return await stage.rule(who.place)


async def _project_robot(stage: Stage, who: Somebody) -> int:
    return (await stage.robot(who.place))[0]


async def _system_robot(stage: Stage, who: Somebody) -> int:
    return (await stage.robot(None))[0]


async def _user(stage: Stage, who: Somebody) -> int:
    return await stage.user()


async def _group(stage: Stage, who: Somebody) -> int:
    return await stage.group()


async def _grouped_user(stage: Stage, who: Somebody) -> int:
    return await stage.grouped_user()


async def _fresh_repository(stage: Stage, who: Somebody) -> str:
    return await stage.repository(who.place, who.path)


async def _twin(stage: Stage, who: Somebody) -> str:
    return await stage.twin(who.place)


async def _issuer(stage: Stage, who: Somebody) -> int:
    return await stage.issuer()


async def _role(stage: Stage, who: Somebody) -> int:
    return await stage.role()


async def _quota(stage: Stage, who: Somebody) -> object:
    return await stage.registry.scalar(
        "SELECT id FROM quotas WHERE project_id = :id", id=await stage.project_id(who.place)
    )


async def _trust(stage: Stage, who: Somebody) -> int:
    """Of the robot in the path, which was made just before; in another project, of one of its own."""
    if who.place == "b":
        await stage.robot("b")
    return await stage.trust()


async def _session(stage: Stage, who: Somebody) -> str:
    return await stage.session(who.username or "root")


async def _purge(stage: Stage, who: Somebody) -> int:
    body = json.dumps({"schedule": {"type": "Manual"}, "parameters": KEPT}).encode()
    sent = {"Content-Type": "application/json"}
    path = f"{API}/system/purgeaudit/schedule"
    answer = await stage.registry.root.request("POST", path, body, sent)
    assert answer.status == 201, answer
    return int(answer["location"].rpartition("/")[2])


async def _attached_label(stage: Stage, who: Somebody) -> int:
    return await stage.attached_label(who.place, who.path)


async def _untagged(stage: Stage, who: Somebody) -> str:
    """A repository that had the tag 1."""
    path = await stage.repository(who.place, who.path)
    await stage.registry.root.push_image(f"{who.place}/{path}", "2")
    assert (await stage.registry.root.delete(f"/v2/{who.place}/{path}/manifests/1")).status == 202
    return path


def constant(value: object) -> Maker:
    async def made(stage: Stage, who: Somebody) -> object:
        return value

    return made


# What a purge needs to be told: nothing is as old as that.
KEPT = {"audit_retention_hour": 240_000, "include_event_types": "create_artifact", "dry_run": True}
PARAMS: Mapping[str, Maker] = {
    "project_name": _place,
    "project_name_or_id": _place,
    "repository_name": _path,
    "reference": constant("1"),
    "addition": constant("build_history"),
    "mid": _member,
    "meta_name": constant("auto_scan"),
    "immutable_rule_id": _rule,
    "group_id": _group,
    "user_id": _user,
    "role_id": _role,
    "purge_id": _purge,
    "issuer_id": _issuer,
    "trust_id": _trust,
    "id": _quota,
    "session_id": _session,
    "digest": constant("sha256:" + "0" * 64),
}


async def request_for(row: Row, stage: Stage, who: Somebody) -> Request:
    values = {}
    for name in re.findall(r"{(\w+)(?::\w+)?}", row.path):
        maker = row.params.get(name) or PARAMS[name]
        value = quote(str(await maker(stage, who)), safe=":")
        values[name] = quote(value, safe=":") if name == "repository_name" else value
    target = re.sub(r"{(\w+)(?::\w+)?}", lambda found: values[found[1]], row.path)
    if row.query:
        number = await stage.project_id(who.place)
        target += row.query.format(place=who.place, path=quote(who.path, safe=""), project=number)
    body = await row.body(stage, who) if callable(row.body) else row.body
    return Request(target, b"" if body is None else json.dumps(body).encode())


# ── bodies ──────────────────────────────────────────────────────────────────────────────────────────────


def named(key: str, prefix: str, **more: object) -> Maker:
    async def body(stage: Stage, who: Somebody) -> object:
        return {key: stage.name(prefix), **more}

    return body


async def new_member(stage: Stage, who: Somebody) -> object:
    return {"role_id": 3, "member_user": {"user_id": await stage.user()}}


async def new_project_label(stage: Stage, who: Somebody) -> object:
    return {"name": stage.name("label"), "scope": "p", "project_id": await stage.project_id(who.place)}


async def new_rule(stage: Stage, who: Somebody) -> object:
    return immutable_rule(stage.name("never"))


def immutable_rule(pattern: str, **more: object) -> dict[str, object]:
    return {
        "disabled": False,
        "action": "immutable",
        "template": "immutable_template",
        **selectors_of(pattern),
        **more,
    }


def robot_of(name: str, place: str | None, **more: object) -> dict[str, object]:
    """A robot that may do what every member may, so that whoever may make robots may make this one."""
    kind = {"kind": "project", "namespace": place or "*"}
    return {
        "name": name,
        "level": "project" if place else "system",
        "duration": 30,
        "permissions": [{**kind, "access": [{"resource": "repository", "action": "pull"}]}],
        **more,
    }


async def new_project_robot(stage: Stage, who: Somebody) -> object:
    return robot_of(stage.name("bot"), who.place)


async def new_system_robot(stage: Stage, who: Somebody) -> object:
    return robot_of(stage.name("bot"), None)


async def new_user(stage: Stage, who: Somebody) -> object:
    name = stage.name("new")
    return {"username": name, "password": "Correct-Horse-9", "email": f"{name}@example.com", "realname": name}


async def new_global_label(stage: Stage, who: Somebody) -> object:
    return {"name": stage.name("label"), "scope": "g"}


async def unset_metadata(stage: Stage, who: Somebody) -> object:
    await stage.registry.change("UPDATE projects SET settings = '{}' WHERE name = :name", name=who.place)
    return {"auto_scan": "true"}


async def new_role(stage: Stage, who: Somebody) -> object:
    return {"name": stage.name("role"), "permissions": [{"resource": "repository", "action": "pull"}]}


async def as_project_robot(stage: Stage, who: Somebody) -> object:
    """The whole of the robot that `_project_robot` made last, with other words."""
    name = await stage.newest_robot()
    return {**robot_of(name, who.place, duration=-1), "description": stage.name("words")}


async def as_system_robot(stage: Stage, who: Somebody) -> object:
    return {**robot_of(await stage.newest_robot(), None, duration=-1), "description": stage.name("words")}


async def profile(stage: Stage, who: Somebody) -> object:
    return {"email": f"{stage.name('mail')}@example.com", "realname": "Somebody Else"}


async def new_issuer(stage: Stage, who: Somebody) -> object:
    name = stage.name("issuer")
    return {
        "name": name,
        "issuer": f"https://{name}.example",
        "audience": "roadstead",
        "jwks": {"keys": [JWK]},
    }


async def same_issuer(stage: Stage, who: Somebody) -> object:
    issuer = await stage.registry.scalar(
        "SELECT max(issuer) FROM trusted_issuers WHERE id = (SELECT max(id) FROM trusted_issuers)"
    )
    return {"name": stage.name("issuer"), "issuer": issuer, "audience": "other", "jwks": {"keys": [JWK]}}


# A public key of nobody's.
JWK = {
    "kty": "EC",
    "crv": "P-256",
    "kid": "1",
    "alg": "ES256",
    "use": "sig",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}


async def new_group(stage: Stage, who: Somebody) -> object:
    return {"group_name": stage.name("group"), "group_type": 3}


async def new_group_member(stage: Stage, who: Somebody) -> object:
    return {"user_id": await stage.user()}


async def new_trust(stage: Stage, who: Somebody) -> object:
    return {"issuer_id": await stage.issuer(), "claims": {"sub": stage.name("subject")}}


async def fresh_label(stage: Stage, who: Somebody) -> object:
    return {"id": await stage.label(who.place)}


async def to_a_twin(stage: Stage, who: Somebody) -> object:
    return {"project": await stage.twin(who.place)}


P = f"{API}/projects"
PID = f"{P}/{{project_name_or_id}}"
PN = f"{P}/{{project_name}}"
R = f"{PN}/repositories/{{repository_name}}"
A = f"{R}/artifacts/{{reference}}"
NEW_REPOSITORY: Mapping[str, Maker] = {"repository_name": _fresh_repository}

ROWS: list[Row] = [
    Row("GET", f"{API}/openapi.json", NOTHING),
    Row("HEAD", f"{API}/openapi.json", NOTHING),
    Row("GET", f"{API}/ping", NOTHING),
    Row("GET", f"{API}/health", NOTHING),
    Row("GET", f"{API}/systeminfo", NOTHING),
    Row("GET", f"{API}/systeminfo/volumes", system("system-volumes:read")),
    Row("GET", f"{API}/systeminfo/getcert", NOTHING, ok=404),
    Row("GET", f"{API}/statistics", SIGN_IN),
    Row("GET", f"{API}/search", NOTHING, query="?q=a"),
    # Whoever administers something chooses from the list.
    Row("GET", f"{API}/permissions", ADMINISTRATOR, but={"project admin": 200}),
    Row("GET", f"{API}/icons/{{digest}}", NOTHING, ok=404),
    Row("GET", f"{API}/configurations", system("configuration:read")),
    Row("PUT", f"{API}/configurations", system("configuration:update"), body={"session_timeout": 60}),
    # ── projects ──
    Row("GET", P, NOTHING),
    Row("HEAD", P, SIGN_IN, query="?project_name=pub"),
    Row("POST", P, system("project:create"), ok=201, body=named("project_name", "made")),
    Row("GET", PID, project("project:read")),
    Row("PUT", PID, project("project:update"), body={"metadata": {"auto_scan": "true"}}),
    Row("GET", f"{PID}/_deletable", project("project:delete")),
    Row("GET", f"{PID}/summary", project("project:read")),
    # Whoever may see some of them gets those; nobody who is not signed in.
    Row(
        "GET",
        f"{PID}/artifacts",
        project("artifact:list"),
        but={"pattern, inside": 200, "pattern, outside": 200, "anonymous, public": 401},
    ),
    Row("GET", f"{PID}/scanner", project("scanner:read"), ok=404),
    Row("GET", f"{PN}/logs", project("log:list")),
    Row("GET", f"{PN}/auditlog-exts", project("log:list")),
    # ── members ──
    Row("GET", f"{PID}/members", project("member:list")),
    Row("POST", f"{PID}/members", project("member:create"), ok=201, body=new_member),
    Row("GET", f"{PID}/members/{{mid}}", project("member:read")),
    Row("PUT", f"{PID}/members/{{mid}}", project("member:update"), body={"role_id": 2}),
    Row("DELETE", f"{PID}/members/{{mid}}", project("member:delete")),
    # ── metadata ──
    Row("GET", f"{PID}/metadatas", project("metadata:read")),
    Row("GET", f"{PID}/metadatas/{{meta_name}}", project("metadata:read")),
    Row(
        "PUT",
        f"{PID}/metadatas/{{meta_name}}",
        project("metadata:update"),
        body={"auto_scan": "true"},
    ),
    Row("DELETE", f"{PID}/metadatas/{{meta_name}}", project("metadata:delete")),
    # ── repositories ──
    Row("GET", f"{API}/repositories", NOTHING),
    # Whoever may see some of them gets those.
    Row(
        "GET",
        f"{PN}/repositories",
        project("repository:list"),
        but={"pattern, inside": 200, "pattern, outside": 200},
    ),
    Row("GET", R, repository("repository:read")),
    Row("PUT", R, repository("repository:update"), body={"description": "words"}),
    Row("DELETE", R, repository("repository:delete"), params=NEW_REPOSITORY),
    # ── artifacts ──
    Row("GET", f"{R}/artifacts", repository("artifact:list")),
    Row("GET", A, repository("artifact:read")),
    Row("DELETE", A, repository("artifact:delete"), params=NEW_REPOSITORY),
    Row("GET", f"{A}/tags", repository("tag:list")),
    Row("POST", f"{A}/tags", repository("tag:create"), ok=201, body=named("name", "tag")),
    Row(
        "DELETE",
        f"{A}/tags/{{tag_name}}",
        repository("tag:delete"),
        params={**NEW_REPOSITORY, "tag_name": constant("1")},
    ),
    Row("GET", f"{A}/accessories", repository("accessory:list")),
    Row("GET", f"{A}/additions/{{addition}}", repository("artifact-addition:read")),
    # ── immutable rules ──
    Row("GET", f"{PID}/immutabletagrules", project("immutable-tag:list")),
    Row("POST", f"{PID}/immutabletagrules", project("immutable-tag:create"), ok=201, body=new_rule),
    Row("DELETE", f"{PID}/immutabletagrules/{{immutable_rule_id}}", project("immutable-tag:delete")),
]

for _slash in ("", "/"):
    ROWS += [
        Row("POST", f"{PID}/metadatas{_slash}", project("metadata:create"), body=unset_metadata),
    ]
ROWS += [
    Row("GET", f"{PID}/metadatas/", project("metadata:read")),
    Row("DELETE", PID, project("project:delete"), params={"project_name_or_id": _twin}),
    Row(
        "POST",
        f"{PID}/rename",
        project("project:update"),
        body=named("name", "renamed"),
        params={"project_name_or_id": _twin},
    ),
    Row("GET", f"{PID}/network-rules", project("network-rule:read")),
    Row("PUT", f"{PID}/network-rules", project("network-rule:update"), body={"registry": []}),
    Row("GET", f"{API}/system/network-rules", system("network-rule:read")),
    Row("PUT", f"{API}/system/network-rules", system("network-rule:update"), body={"registry": []}),
    Row(
        "PUT",
        f"{PID}/immutabletagrules/{{immutable_rule_id}}",
        project("immutable-tag:update"),
        body=new_rule,
    ),
    # ── the audit log ──
    Row("GET", f"{API}/audit-logs", system("audit-log:list")),
    Row("GET", f"{API}/auditlog-exts", system("audit-log:list")),
    Row("GET", f"{API}/audit-logs/export", system("audit-log:list")),
    Row("GET", f"{API}/auditlog-exts/events", system("audit-log:list")),
    # Harbor's own parts talk to each other there; here there are none.
    Row("GET", f"{API}/internalconfig", NOTHING, ok=401),
    # ── labels ──
    Row("GET", f"{API}/labels", NOTHING, query="?scope=g", variant="of the registry"),
    Row(
        "POST",
        f"{API}/labels",
        system("label:create"),
        ok=201,
        body=new_global_label,
        variant="of the registry",
    ),
    Row("GET", f"{API}/labels", project("label:list"), query="?scope=p&project_id={project}"),
    Row("POST", f"{API}/labels", project("label:create"), ok=201, body=new_project_label),
]
for _maker, _need, _variant in (
    (_global_label, system, "of the registry"),
    (_project_label, project, "of a project"),
):
    _label: Mapping[str, Maker] = {"label_id": _maker}
    ROWS += [
        Row("GET", f"{API}/labels/{{label_id}}", _need("label:read"), params=_label, variant=_variant),
        Row(
            "PUT",
            f"{API}/labels/{{label_id}}",
            _need("label:update"),
            body=named("name", "label"),
            params=_label,
            variant=_variant,
        ),
        Row("DELETE", f"{API}/labels/{{label_id}}", _need("label:delete"), params=_label, variant=_variant),
    ]
# ── robots ──
for _maker, _need, _new, _same, _variant in (
    (_system_robot, system, new_system_robot, as_system_robot, "of the system"),
    (_project_robot, project, new_project_robot, as_project_robot, "of a project"),
):
    _robot: Mapping[str, Maker] = {"robot_id": _maker}
    ROWS += [
        Row("POST", f"{API}/robots", _need("robot:create"), ok=201, body=_new, variant=_variant),
        *(
            Row(
                method,
                f"{API}/robots/{{robot_id}}",
                _need(permission),
                body=body,
                params=_robot,
                variant=_variant,
                hidden="robot:read",
            )
            for method, permission, body in (
                ("GET", "robot:read", None),
                ("PUT", "robot:update", _same),
                ("PATCH", "robot:update", {}),
                ("DELETE", "robot:delete", None),
            )
        ),
    ]
ROWS += [
    Row("GET", f"{API}/robots", system("robot:list")),
    Row("GET", f"{API}/robots", project("robot:list"), query="?q=Level%3Dproject,ProjectID%3D{project}"),
    # ── roles ──
    Row("GET", f"{API}/roles", SIGN_IN),
    Row("GET", f"{API}/roles/{{role_id}}", SIGN_IN),
    Row("POST", f"{API}/roles", system("role:create"), ok=201, body=new_role),
    Row("PUT", f"{API}/roles/{{role_id}}", system("role:update"), body=new_role),
    Row("DELETE", f"{API}/roles/{{role_id}}", system("role:delete")),
    Row("GET", f"{API}/system/CVEAllowlist", SIGN_IN),
    Row("PUT", f"{API}/system/CVEAllowlist", system("configuration:update"), body={"items": []}),
    # ── users ──
    Row("GET", f"{API}/users", system("user:list")),
    Row("POST", f"{API}/users", system("user:create"), ok=201, body=new_user),
    Row("GET", f"{API}/users/current", PERSON),
    Row("GET", f"{API}/users/current/permissions", SIGN_IN, query="?scope=/system"),
    Row("GET", f"{API}/users/search", SIGN_IN, query="?username=a"),
    Row("GET", f"{API}/users/{{user_id}}", system("user:read")),
    Row("PUT", f"{API}/users/{{user_id}}", system("user:update"), body=profile),
    Row("DELETE", f"{API}/users/{{user_id}}", system("user:delete")),
    Row("PUT", f"{API}/users/{{user_id}}/sysadmin", ADMINISTRATOR, body={"sysadmin_flag": False}),
    Row("PUT", f"{API}/users/{{user_id}}/disabled", system("user:update"), body={"disabled": False}),
    Row("PUT", f"{API}/users/{{user_id}}/password", ADMINISTRATOR, body={"new_password": "Correct-Horse-9"}),
    Row("PUT", f"{API}/users/{{user_id}}/cli_secret", system("user:read"), ok=412, body={"secret": "x"}),
]
UNTAGGED: Mapping[str, Maker] = {"repository_name": _untagged, "tag_name": constant("1")}
ROWS += [
    # ── what Harbor does not have of repositories and tags, and labels ──
    Row(
        "POST",
        f"{R}/artifacts",
        repository("artifact:create"),
        ok=201,
        query="?from={place}%2F{path}%3A1",
    ),
    Row("GET", f"{A}/additions/vulnerabilities", repository("artifact:read"), ok=404),
    Row("POST", f"{A}/labels", repository("artifact-label:create"), body=fresh_label),
    Row(
        "DELETE",
        f"{A}/labels/{{label_id}}",
        repository("artifact-label:delete"),
        params={"label_id": _attached_label},
    ),
    Row(
        "PUT",
        f"{A}/tags/{{tag_name}}",
        repository("tag:create"),
        params={**NEW_REPOSITORY, "tag_name": constant("other")},
    ),
    Row("GET", f"{R}/tags/{{tag_name}}/history", repository("tag:list"), params={"tag_name": constant("1")}),
    Row("POST", f"{R}/tags/{{tag_name}}/restore", repository("tag:create"), body={}, params=UNTAGGED),
    Row(
        "POST",
        f"{R}/transfer",
        repository("repository:delete"),
        ok=201,
        body=to_a_twin,
        params=NEW_REPOSITORY,
        # It also takes repository:create and repository:push where the repository goes.
        but={"system robot": 403},
    ),
    Row("GET", "/api/version", NOTHING),
    Row("GET", f"{API}/schedules", system("jobservice-monitor:list")),
    Row("DELETE", f"{API}/users/{{user_id}}/lock", system("user:update")),
    # ── groups ──
    Row("GET", f"{API}/usergroups", system("user-group:list")),
    Row("POST", f"{API}/usergroups", system("user-group:create"), ok=201, body=new_group),
    Row("GET", f"{API}/usergroups/search", SIGN_IN, query="?groupname=a"),
    Row("GET", f"{API}/usergroups/{{group_id}}", system("user-group:read")),
    Row("PUT", f"{API}/usergroups/{{group_id}}", system("user-group:update"), body=named("group_name", "g")),
    Row("DELETE", f"{API}/usergroups/{{group_id}}", system("user-group:delete")),
    Row("GET", f"{API}/usergroups/{{group_id}}/users", system("user-group:read")),
    Row(
        "POST",
        f"{API}/usergroups/{{group_id}}/users",
        system("user-group:update"),
        ok=201,
        body=new_group_member,
    ),
    Row(
        "DELETE",
        f"{API}/usergroups/{{group_id}}/users/{{user_id}}",
        system("user-group:update"),
        params={"user_id": _grouped_user},
    ),
    # ── quotas ──
    Row("GET", f"{API}/quotas", system("quota:list")),
    Row("GET", f"{API}/quotas/", system("quota:list")),
    Row("GET", f"{API}/quotas/{{id}}", system("quota:read")),
    Row("PUT", f"{API}/quotas/{{id}}", system("quota:update"), body={"hard": {"storage": -1}}),
    # ── trusted issuers ──
    Row("GET", f"{API}/issuers", system("trusted-issuer:list")),
    Row("POST", f"{API}/issuers", system("trusted-issuer:create"), ok=201, body=new_issuer),
    Row("GET", f"{API}/issuers/{{issuer_id}}", system("trusted-issuer:read")),
    Row("PUT", f"{API}/issuers/{{issuer_id}}", system("trusted-issuer:update"), body=same_issuer),
    Row("DELETE", f"{API}/issuers/{{issuer_id}}", system("trusted-issuer:delete")),
    # ── purging the audit log ──
    Row("GET", f"{API}/system/purgeaudit", system("purge-audit:list")),
    Row("GET", f"{API}/system/purgeaudit/{{purge_id}}", system("purge-audit:read")),
    Row("PUT", f"{API}/system/purgeaudit/{{purge_id}}", system("purge-audit:stop")),
    Row("GET", f"{API}/system/purgeaudit/{{purge_id}}/log", system("purge-audit:read")),
    Row("GET", f"{API}/system/purgeaudit/schedule", system("purge-audit:read")),
    Row(
        "POST",
        f"{API}/system/purgeaudit/schedule",
        system("purge-audit:create"),
        ok=201,
        body={"schedule": {"type": "Daily"}, "parameters": KEPT},
    ),
    Row(
        "PUT",
        f"{API}/system/purgeaudit/schedule",
        system("purge-audit:update"),
        body={"schedule": {"type": "None"}, "parameters": KEPT},
    ),
    # ── sessions and login tokens ──
    Row("GET", f"{API}/users/current/sessions", SIGN_IN),
    Row("DELETE", f"{API}/users/current/sessions/{{session_id}}", SIGN_IN),
    Row("POST", f"{API}/users/current/tokens", PERSON, ok=201, body=named("name", "token")),
    Row("GET", f"{API}/users/{{user_id}}/sessions", system("session:list")),
    Row("DELETE", f"{API}/users/{{user_id}}/sessions", system("session:delete")),
]
for _maker, _need, _variant in (
    (_system_robot, system, "of the system"),
    (_project_robot, project, "of a project"),
):
    _trusts = f"{API}/robots/{{robot_id}}/trusts"
    ROWS += [
        Row(
            method,
            path,
            _need(permission),
            ok=ok,
            body=body,
            params={"robot_id": _maker},
            variant=_variant,
            hidden="robot:read",
        )
        for method, path, permission, ok, body in (
            ("GET", _trusts, "robot:read", 200, None),
            ("POST", _trusts, "robot:update", 201, new_trust),
            ("GET", f"{_trusts}/{{trust_id}}", "robot:read", 200, None),
            ("PUT", f"{_trusts}/{{trust_id}}", "robot:update", 200, {"claims": {"sub": "other"}}),
            ("DELETE", f"{_trusts}/{{trust_id}}", "robot:update", 200, None),
        )
    ]

# ── /v2 ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class RegistryRow:
    """A path of `/v2`, and the action that it takes."""

    method: str
    path: str
    action: str
    ok: int


NAME = "/v2/<name>"
REGISTRY_ROWS = [
    RegistryRow("GET", f"{NAME}/manifests/<reference>", "pull", 200),
    RegistryRow("HEAD", f"{NAME}/manifests/<reference>", "pull", 200),
    RegistryRow("PUT", f"{NAME}/manifests/<reference>", "push", 201),
    RegistryRow("DELETE", f"{NAME}/manifests/<reference>", "delete", 202),
    RegistryRow("GET", f"{NAME}/blobs/<digest>", "pull", 200),
    RegistryRow("HEAD", f"{NAME}/blobs/<digest>", "pull", 200),
    RegistryRow("DELETE", f"{NAME}/blobs/<digest>", "delete", 202),
    RegistryRow("POST", f"{NAME}/blobs/uploads/", "push", 202),
    RegistryRow("GET", f"{NAME}/tags/list", "pull", 200),
    RegistryRow("HEAD", f"{NAME}/tags/list", "pull", 200),
    RegistryRow("GET", f"{NAME}/referrers/<digest>", "pull", 200),
    RegistryRow("HEAD", f"{NAME}/referrers/<digest>", "pull", 200),
    RegistryRow("GET", f"{NAME}/_oci/ext/discover", "pull", 200),
    RegistryRow("HEAD", f"{NAME}/_oci/ext/discover", "pull", 200),
]


async def registry_request(
    row: RegistryRow, stage: Stage, who: Somebody
) -> tuple[str, bytes, Mapping[str, str]]:
    name = f"{who.place}/{who.path}"
    root = stage.registry.root
    document = await root.image(name, "1")
    path = row.path.replace("<name>", name).replace("<reference>", "1")
    if "<digest>" in path:
        data = f"nothing needs {stage.name('blob')}".encode()
        digest = await root.push_blob(name, data) if "/blobs/" in path else digest_of(data)
        path = path.replace("<digest>", digest)
    if row.method == "DELETE" and "manifests" in path:
        tag = stage.name("tag")
        await root.push_manifest(name, tag, {**document, "annotations": {"of": tag}})
        return path.rpartition("/")[0] + f"/{tag}", b"", {}
    if row.method == "PUT":
        return path, encoded(document), {"Content-Type": OCI_MANIFEST}
    return path, b"", {}
