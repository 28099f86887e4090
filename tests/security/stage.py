"""A registry with somebody of every kind in it, and fresh things for them to try their rights on.

Everything is put in place below the API, so that what is asked is the only thing that is asked.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, text
from tests.registry.actors import Actor, basic
from tests.registry.asgi import Answer
from tests.registry.registries import Registry, open_registry, settings_of

from roadstead.projects.roles import IN_PROJECT, IN_SYSTEM, NOTHING, OF_ANYBODY, OF_ROLE, Role

INSIDE = "team/app"
OUTSIDE = "other/app"
FAR = 4_102_444_800_000
# What the role that people made has.
CUSTOM = frozenset(
    {
        "project:read",
        "artifact:delete",
        "artifact:list",
        "label:create",
        "log:list",
        "member:list",
        "quota:read",
        "repository:pull",
    }
)
PROJECT_ROBOT = frozenset(
    {
        "project:read",
        "artifact:list",
        "artifact:read",
        "label:list",
        "label:create",
        "immutable-tag:list",
        "metadata:read",
        "repository:pull",
        "repository:push",
        "tag:create",
        "tag:list",
    }
)
SYSTEM_ROBOT = frozenset(
    {"project:read", "artifact:list", "member:list", "repository:list", "repository:delete", "robot:list"}
)
SYSTEM_ROBOT_EVERYWHERE = frozenset(
    {"audit-log:list", "label:create", "project:list", "quota:list", "user:list"}
)


@dataclass(frozen=True)
class Somebody:
    """A column of the matrix: who asks, where, and what they should be able to do there."""

    name: str
    # Whose credentials; empty for nobody's.
    username: str
    # In the project of the request, and in the registry as a whole.
    project: frozenset[str]
    system: frozenset[str] = NOTHING
    # In the repository of the request, where that differs.
    repository: frozenset[str] | None = None
    place: str = "a"
    path: str = INSIDE
    # Their proof is no longer good.
    dead: bool = False
    # Has a token of `/service/token`, which the API does not take.
    token: bool = False
    # A robot is nobody who could have a password or an e-mail address.
    robot: bool = False

    @property
    def anonymous(self) -> bool:
        return not self.username

    @property
    def knows(self) -> bool:
        """May they know that the project is there?"""
        return "project:read" in self.project

    @property
    def here(self) -> frozenset[str]:
        """What they may do in the repository of the request."""
        return self.project if self.repository is None else self.project | self.repository


def _limited(permissions: frozenset[str]) -> frozenset[str]:
    """What of a role is good for some of the repositories: those of artifacts, and reading the project."""
    kinds = {
        "repository", "artifact", "artifact-addition", "artifact-label", "accessory", "tag", "scan", "sbom",
    }  # fmt: skip
    return frozenset(permission for permission in permissions if permission.partition(":")[0] in kinds)


_READ = frozenset({"project:read"})
EVERYBODY = (
    Somebody("sysadmin", "root", IN_PROJECT, IN_SYSTEM),
    Somebody("project admin", "project-admin", OF_ROLE[Role.PROJECT_ADMIN]),
    Somebody("maintainer", "maintainer", OF_ROLE[Role.MAINTAINER]),
    Somebody("developer", "developer", OF_ROLE[Role.DEVELOPER]),
    Somebody("guest", "guest", OF_ROLE[Role.GUEST]),
    Somebody("limited guest", "limited-guest", OF_ROLE[Role.LIMITED_GUEST]),
    Somebody("custom", "custom", CUSTOM),
    Somebody("by group", "grouped", OF_ROLE[Role.MAINTAINER]),
    Somebody("pattern, inside", "patterned", _READ, repository=_limited(OF_ROLE[Role.MAINTAINER])),
    Somebody("pattern, outside", "patterned", _READ, path=OUTSIDE),
    Somebody("project robot", "robot$a+ci", PROJECT_ROBOT, robot=True),
    Somebody("system robot", "robot$ci", SYSTEM_ROBOT, SYSTEM_ROBOT_EVERYWHERE, robot=True),
    Somebody("other robot", "robot$b+ci", NOTHING, robot=True),
    Somebody("stranger", "mallory", NOTHING),
    Somebody("anonymous", "", NOTHING),
    Somebody("anybody", "mallory", OF_ANYBODY, place="pub"),
    Somebody("anonymous, public", "", OF_ANYBODY, place="pub"),
    Somebody("expired robot", "robot$a+old", NOTHING, dead=True, robot=True),
    Somebody("disabled", "disabled", NOTHING, dead=True),
    Somebody("token", "root", NOTHING, dead=True, token=True),
)
# Name → built-in role in `a`.
_MEMBERS = {
    "project-admin": Role.PROJECT_ADMIN,
    "maintainer": Role.MAINTAINER,
    "developer": Role.DEVELOPER,
    "guest": Role.GUEST,
    "limited-guest": Role.LIMITED_GUEST,
    "disabled": Role.PROJECT_ADMIN,
}


@dataclass
class Stage:
    registry: Registry
    actors: dict[str, Actor] = field(default_factory=dict)
    counter: int = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, database_url: str) -> AsyncIterator[Stage]:
        # Dead proofs are shown over and over here.
        settings = settings_of(folder, database_url, auth={"max_failures": 1_000_000})
        async with open_registry(settings) as registry:
            stage = cls(registry)
            await stage._people()
            yield stage

    async def _people(self) -> None:
        await self.registry.parts.database.write(_seed)
        for project in ("a", "pub"):
            for path in (INSIDE, OUTSIDE):
                await self.registry.root.push_image(f"{project}/{path}", "1")
        for address, somebody in enumerate(EVERYBODY):
            self.actors[somebody.name] = await self._actor(somebody, f"192.0.2.{address + 20}")
        await self.registry.change(
            "UPDATE users SET disabled = :yes, credential_epoch = 2 WHERE username = 'disabled'", yes=True
        )
        await self.registry.change("UPDATE users SET expires_at = 1000 WHERE username = 'robot$a+old'")

    async def _actor(self, somebody: Somebody, address: str) -> Actor:
        app = self.registry.app
        actor = Actor(app, somebody.name, basic(somebody.username) if somebody.username else None)
        if somebody.username:
            # Known to this process before some of them are disabled or expire.
            answer = await actor.request("GET", "/v2/", client=address)
            assert answer.status == 200, (somebody, answer)
        if somebody.token:
            answer = await actor.ask_for_token(f"repository:a/{INSIDE}:pull,push,delete")
            return Actor(app, somebody.name, f"Bearer {answer.json['token']}")
        return actor

    async def ask(
        self, somebody: Somebody, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] = {}
    ) -> Answer:
        sent = {"Content-Type": "application/json", **headers} if body else dict(headers)
        address = f"192.0.2.{EVERYBODY.index(somebody) + 20}" if somebody in EVERYBODY else "192.0.2.7"
        return await self.actors[somebody.name].request(method, target, body, sent, client=address)

    async def status(self, somebody: Somebody, method: str, target: str, body: bytes) -> int:
        """What they get; 500 if the application fails."""
        try:
            return (await self.ask(somebody, method, target, body)).status
        except Exception:  # noqa: BLE001 - a matrix with a wrong cell says more than one without the rest
            return 500

    # ── fresh things ────────────────────────────────────────────────────────────────────────────────────

    def name(self, kind: str) -> str:
        self.counter += 1
        return f"{kind}{self.counter}"

    async def number(self, statement: str, **values: object) -> int:
        """The id that an INSERT gives."""
        return await self.registry.parts.database.write(_insert, f"{statement} RETURNING id", values)

    async def project_id(self, name: str) -> int:
        found = await self.registry.scalar("SELECT id FROM projects WHERE name = :name", name=name)
        assert isinstance(found, int)
        return found

    async def user_id(self, name: str) -> int:
        found = await self.registry.scalar("SELECT id FROM users WHERE username = :name", name=name)
        assert isinstance(found, int)
        return found

    async def project(self) -> str:
        """One that `a`'s members have nothing to do with, and its owner is nobody."""
        name = self.name("fresh")
        await self.registry.add_project(name, None)
        return name

    async def twin(self, place: str) -> str:
        """A project where everybody may do what they may do in that one."""
        name = await self.project()
        await self.registry.change(
            "UPDATE projects SET public = (SELECT public FROM projects WHERE name = :place) WHERE name = :name",
            place=place,
            name=name,
        )
        await self.registry.change(
            "INSERT INTO grants"
            " (place, project_id, user_id, group_id, role_id, permissions, repositories, created_at)"
            " SELECT place, :twin, user_id, group_id, role_id, permissions, repositories, created_at"
            " FROM grants WHERE project_id = :project",
            twin=await self.project_id(name),
            project=await self.project_id(place),
        )
        return name

    async def newest_robot(self) -> str:
        found = await self.registry.scalar(
            "SELECT username FROM users WHERE id = (SELECT max(account_id) FROM robots)"
        )
        return str(found)

    async def user(self) -> int:
        return await self.number(_USER, name=self.name("person"), kind="person", no=False, at=1)

    async def group(self) -> int:
        return await self.number(
            "INSERT INTO user_groups (name, kind, created_at) VALUES (:name, 3, 1)", name=self.name("group")
        )

    async def grouped_user(self) -> int:
        """In the group that was made last."""
        user = await self.user()
        await self.registry.change(
            "INSERT INTO user_group_members (user_id, group_id) VALUES (:user, (SELECT max(id) FROM user_groups))",
            user=user,
        )
        return user

    async def member(self, place: str) -> int:
        return await self.number(
            _GRANT,
            place="project",
            project=await self.project_id(place),
            user=await self.user(),
            group=None,
            role=3,
            permissions="",
            pattern="",
        )

    async def label(self, place: str | None) -> int:
        return await self.number(
            "INSERT INTO labels (project_id, name, description, color, created_at, updated_at)"
            " VALUES (:project, :name, '', '', 1, 1)",
            project=await self.project_id(place) if place else None,
            name=self.name("label"),
        )

    async def rule(self, place: str) -> int:
        return await self.number(
            "INSERT INTO immutable_rules (project_id, disabled, priority, selectors, created_at)"
            " VALUES (:project, :no, 0, :selectors, 1)",
            project=await self.project_id(place),
            no=False,
            selectors=json.dumps(selectors_of(self.name("never"))),
        )

    async def robot(self, place: str | None) -> tuple[int, str]:
        """Its id and its full name: one of the project's that may pull, or one of the system's."""
        short = self.name("bot")
        name = f"robot${place}+{short}" if place else f"robot${short}"
        number = await self.number(_USER, name=name, kind="robot", no=False, at=1)
        project = await self.project_id(place) if place else None
        await self.registry.change(
            _ROBOT, id=number, project=project, name=short, creator=await self.user_id("root")
        )
        await self.number(
            _GRANT,
            place="project" if place else "projects",
            project=project,
            user=number,
            group=None,
            role=None,
            permissions="repository:pull",
            pattern="",
        )
        return number, name

    async def issuer(self) -> int:
        name = self.name("issuer")
        return await self.number(
            "INSERT INTO trusted_issuers (name, issuer, audience, created_at, updated_at)"
            " VALUES (:name, :issuer, 'roadstead', 1, 1)",
            name=name,
            issuer=f"https://{name}.example",
        )

    async def trust(self) -> int:
        """Of the robot that was made last."""
        return await self.number(
            "INSERT INTO robot_trusts (robot_id, issuer_id, claims, created_at)"
            " VALUES ((SELECT max(account_id) FROM robots), :issuer, :claims, 1)",
            issuer=await self.issuer(),
            claims=json.dumps({"sub": self.name("subject")}),
        )

    async def session(self, username: str) -> str:
        """A login token's, of which nobody knows the secret."""
        found = hashlib.sha256(self.name("session").encode()).hexdigest()
        await self.registry.change(
            "INSERT INTO sessions (id, user_id, kind, name, epoch, address, user_agent, created_at, last_seen_at,"
            " expires_at) VALUES (:id, :user, 'token', '', 1, '', '', :now, :now, :far)",
            id=found,
            user=await self.user_id(username),
            now=int(time.time() * 1000),
            far=FAR,
        )
        return found

    async def attached_label(self, place: str, path: str) -> int:
        """On the artifact that is tagged 1."""
        label = await self.label(place)
        await self.registry.change(
            "INSERT INTO artifact_labels (manifest_id, label_id, created_at) SELECT t.manifest_id, :label, 1"
            " FROM tags t JOIN repositories r ON r.id = t.repository_id WHERE t.name = '1' AND r.path = :path"
            " AND r.project_id = :project",
            label=label,
            path=path,
            project=await self.project_id(place),
        )
        return label

    async def role(self) -> int:
        return await self.number(f"{_ROLE} (:name, '', 'project:read', 1, 1)", name=self.name("role"))

    async def repository(self, place: str, path: str) -> str:
        """A repository below `path`, with an artifact tagged 1 in it: its path."""
        found = f"{path}/{self.name('r')}"
        await self.registry.root.push_image(f"{place}/{found}", "1")
        return found


def selectors_of(tags: str) -> dict[str, object]:
    return {
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": tags}],
        "scope_selectors": {
            "repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "nowhere"}]
        },
    }


_ROLE = "INSERT INTO roles (name, description, permissions, created_at, updated_at) VALUES"
_USER = (
    "INSERT INTO users (username, password_hash, admin, disabled, credential_epoch, created_at, kind, updated_at)"
    " VALUES (:name, '', :no, :no, 1, :at, :kind, 1)"
)
_ROBOT = (
    "INSERT INTO robots (account_id, project_id, name, description, duration, creator_id, created_at, updated_at)"
    " VALUES (:id, :project, :name, '', -1, :creator, 1, 1)"
)
_GRANT = (
    "INSERT INTO grants (place, project_id, user_id, group_id, role_id, permissions, repositories, created_at)"
    " VALUES (:place, :project, :user, :group, :role, :permissions, :pattern, 1)"
)


def _insert(conn: Connection, statement: str, values: Mapping[str, object]) -> int:
    number: int = conn.execute(text(statement), values).scalar_one()
    return number


def _seed(conn: Connection) -> None:
    """The people of `EVERYBODY`, with the password of all the others."""
    secret = conn.execute(text("SELECT password_hash FROM users WHERE username = 'alice'")).scalar_one()

    def account(name: str, kind: str = "person") -> int:
        values = {"name": name, "kind": kind, "no": False, "at": int(time.time() * 1000)}
        number = _insert(conn, f"{_USER} RETURNING id", values)
        conn.execute(
            text("UPDATE users SET password_hash = :secret WHERE id = :id"), {"secret": secret, "id": number}
        )
        return number

    projects = {row.name: row.id for row in conn.execute(text("SELECT name, id FROM projects"))}

    def grant(**values: object) -> None:
        empty = {"project": projects["a"], "user": None, "group": None, "role": None}
        given = {"place": "project", **empty, "permissions": "", "pattern": "", **values}
        conn.execute(text(_GRANT), given)

    def robot(name: str, project: str | None, permissions: frozenset[str]) -> int:
        number = account(f"robot${project}+{name}" if project else f"robot${name}", "robot")
        creator = conn.execute(text("SELECT id FROM users WHERE username = 'root'")).scalar_one()
        values = {"id": number, "project": projects.get(project or ""), "name": name, "creator": creator}
        conn.execute(text(_ROBOT), values)
        place = {"project": projects[project]} if project else {"place": "projects", "project": None}
        grant(user=number, permissions=",".join(sorted(permissions)), **place)
        return number

    for name, role in _MEMBERS.items():
        grant(user=account(name), role=int(role))
    listed = ",".join(sorted(CUSTOM))
    auditor = _insert(conn, f"{_ROLE} ('auditor', '', :listed, 1, 1) RETURNING id", {"listed": listed})
    grant(user=account("custom"), role=auditor)
    group = _insert(
        conn,
        "INSERT INTO user_groups (name, kind, created_at) VALUES ('operators', 3, 1) RETURNING id",
        {},
    )
    conn.execute(
        text("INSERT INTO user_group_members (user_id, group_id) VALUES (:user, :group)"),
        {"user": account("grouped"), "group": group},
    )
    grant(group=group, role=int(Role.MAINTAINER))
    grant(user=account("patterned"), role=int(Role.MAINTAINER), pattern="team/**")
    robot("ci", "a", PROJECT_ROBOT)
    robot("ci", "b", PROJECT_ROBOT)
    robot("old", "a", IN_PROJECT)
    number = robot("ci", None, SYSTEM_ROBOT)
    grant(place="system", project=None, user=number, permissions=",".join(sorted(SYSTEM_ROBOT_EVERYWHERE)))
