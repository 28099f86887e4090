"""What goharbor's Terraform provider sends for each of its resources, in its order, and what it keeps of the answers.

A resource knows how to create, read, update and destroy itself, each call with the one status that the provider
takes.  What `read` returns is compared with what was configured, as a plan compares it.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

State = dict[str, Any]


class Gone(Exception):
    """It is not there any more: a plan would make it again."""


class Unexpected(AssertionError):
    """An answer that ends the provider's run."""


@dataclass
class Provider:
    """The provider's client: one status for each call, ids from Location, no retries."""

    http: httpx.Client

    def send(
        self, method: str, path: str, expected: int, body: object = None, *, missing: bool = False
    ) -> httpx.Response:
        """With `missing`, 404 says that the thing is gone; else it is an error as any other."""
        content = b"" if body is None else json.dumps(body).encode() + b"\n"
        # On every request, with a body or without.
        headers = {"Content-Type": "application/json"}
        answer = self.http.request(method, f"/api/v2.0{path}", content=content, headers=headers)
        if missing and answer.status_code == 404:
            raise Gone(path)
        if answer.status_code != expected:
            raise Unexpected(f"{method} {path}: {answer.status_code}, expected {expected}: {answer.text}")
        return answer

    def create(self, path: str, body: object) -> str:
        """The id of what was made, which is its path."""
        location = self.send("POST", path, 201, body).headers.get_list("location")[0]
        return location.replace("/api", "").replace("/v2.0", "")

    def pages(self, path: str, *, size: int | None = None) -> Iterator[Any]:
        """Every entry of a list, page after page until an empty one."""
        page = 1
        while True:
            more = f"&page_size={size}" if size else ""
            mark = "&" if "?" in path else "?"
            entries = self.send("GET", f"{path}{mark}page={page}{more}", 200).json()
            assert isinstance(entries, list)
            if not entries:
                return
            yield from entries
            page += 1


@dataclass
class Resource(ABC):
    provider: Provider
    # What is written in the configuration, with the provider's defaults.
    config: State
    id: str = ""
    # What the provider keeps that no answer tells it again.
    kept: State = field(default_factory=dict)

    @abstractmethod
    def create(self) -> None: ...

    @abstractmethod
    def read(self) -> State:
        """The state as the provider stores it.  Raises `Gone`."""

    @abstractmethod
    def update(self) -> None: ...

    def destroy(self) -> None:
        self.provider.send("DELETE", self.id, 200)

    def difference(self) -> State:
        """What a plan would change: attribute → (configured, found)."""
        found = self.read()
        return {
            name: (self.config.get(name), value)
            for name, value in found.items()
            if self.config.get(name) != value
        }


def flag(value: bool) -> str:
    return "true" if value else "false"


def parsed(text: str | None) -> bool:
    """As Go's ParseBool: nothing is false, and other words are an error."""
    if text in {None, ""}:
        return False
    assert text in {"true", "false", "1", "0", "t", "f", "True", "False"}, text
    return text in {"true", "1", "t", "True"}


class Project(Resource):
    FLAGS = (
        "enable_content_trust",
        "enable_content_trust_cosign",
        "auto_sbom_generation",
        "proxy_cache_local_on_not_found",
    )

    def body(self) -> State:
        listed = [{"cve_id": item} for item in self.config["cve_allowlist"]]
        severity = self.config["deployment_security"]
        return {
            "project_name": self.config["name"],
            "storage_limit": self.config["storage_quota"],
            "cve_allowlist": {"items": listed} if listed else {},
            "metadata": {
                "auto_scan": flag(self.config["vulnerability_scanning"]),
                "public": flag(self.config["public"]),
                "severity": severity or "low",
                "prevent_vul": flag(bool(severity)),
                "proxy_speed_kb": "-1",
                "reuse_sys_cve_allowlist": flag(not listed),
                **{name: flag(self.config[name]) for name in self.FLAGS},
            },
        }

    def create(self) -> None:
        self.id = self.provider.create("/projects", self.body())
        if self.config["cve_allowlist"]:
            self.provider.send("PUT", self.id, 200, self.body())
        self.kept["storage_quota"] = self.config["storage_quota"]

    def read(self) -> State:
        found = self.provider.send("GET", self.id, 200, missing=True).json()
        metadata: Mapping[str, str] = found["metadata"]
        # A number there would make it a proxy.
        assert found.get("registry_id") is None
        severity = metadata.get("severity", "")
        secured = severity != "none" and parsed(metadata.get("prevent_vul"))
        assert int(metadata.get("proxy_speed_kb", "-1")) == -1
        return {
            "name": found["name"],
            "public": parsed(metadata.get("public")),
            "vulnerability_scanning": parsed(metadata.get("auto_scan")),
            "deployment_security": severity if secured else "",
            "cve_allowlist": [item["cve_id"] for item in found["cve_allowlist"].get("items") or []],
            **{name: parsed(metadata.get(name)) for name in self.FLAGS},
            **self.kept,
        }

    def update(self) -> None:
        self.provider.send("PUT", self.id, 200, self.body())
        enabled = self.provider.send("GET", "/configurations", 200).json()["quota_per_project_enable"]
        assert enabled["value"] is True
        for quota in self.provider.pages("/quotas/", size=100):
            if quota["ref"]["id"] == int(self.id.rpartition("/")[2]):
                hard = {"hard": {"storage": self.config["storage_quota"]}}
                self.provider.send("PUT", f"/quotas/{quota['id']}", 200, hard)
        self.kept["storage_quota"] = self.config["storage_quota"]

    def destroy(self) -> None:
        name = self.config["name"]
        for repository in self.provider.pages(f"/projects/{name}/repositories", size=100):
            path = repository["name"].removeprefix(f"{name}/").replace("/", "%252F")
            self.provider.send("DELETE", f"/projects/{name}/repositories/{path}", 200)
        super().destroy()


ROLES = {"projectadmin": 1, "developer": 2, "guest": 3, "maintainer": 4, "limitedguest": 5}


class Member(Resource):
    """Of a user or of a group."""

    def body(self) -> State:
        group = self.config.get("group_id")
        named = {"group_type": 3, "group_name": self.config.get("group_name"), "id": group}
        return {
            "role_id": ROLES[self.config["role"]],
            "member_group": named if group else {},
            "member_user": {} if group else {"username": self.config["user_name"]},
        }

    def create(self) -> None:
        self.id = self.provider.create(f"{self.config['project_id']}/members", self.body())

    def read(self) -> State:
        found = self.provider.send("GET", self.id, 200, missing=True).json()
        name = "group_name" if self.config.get("group_id") else "user_name"
        return {
            "role": next(word for word, number in ROLES.items() if number == found["role_id"]),
            "project_id": f"/projects/{found['project_id']}",
            name: found["entity_name"],
        }

    def update(self) -> None:
        self.provider.send("PUT", self.id, 200, self.body())


class RobotAccount(Resource):
    def body(self, name: str) -> State:
        body = {
            "name": name,
            "level": self.config["level"],
            "duration": self.config["duration"],
            "permissions": [
                {
                    "kind": block["kind"],
                    "namespace": block["namespace"],
                    "access": [
                        {"action": action, "resource": resource}
                        for resource, action in sorted(block["access"])
                    ],
                }
                for block in self.config["permissions"]
            ],
        }
        more = {"description": self.config["description"], "disable": self.config["disable"]}
        return body | {key: value for key, value in more.items() if value}

    def create(self) -> None:
        answer = self.provider.send("POST", "/robots", 201, self.body(self.config["name"]))
        assert answer.json()["id"]
        assert answer.json()["secret"]
        location = answer.headers.get_list("location")[0]
        self.id = location.replace("/api", "").replace("/v2.0", "")
        if "secret" in self.config:
            self.provider.send("PATCH", self.id, 200, {"secret": self.config["secret"]})

    def read(self) -> State:
        found = self.provider.send("GET", self.id, 200, missing=True).json()
        if self.config["level"] == "project":
            name = found["name"].split(f"{found['permissions'][0]['namespace']}+")[1]
        else:
            configured = self.provider.send("GET", "/configurations", 200).json()
            name = found["name"].replace(configured["robot_name_prefix"]["value"], "")
        blocks = [
            {
                "kind": block["kind"],
                "namespace": block["namespace"],
                "access": {(access["resource"], access["action"]) for access in block["access"]},
            }
            for block in found["permissions"]
        ]
        wanted = self.config["permissions"]
        same = len(blocks) == len(wanted) and all(block in blocks for block in wanted)
        return {
            "name": name,
            "level": found["level"],
            "duration": found["duration"],
            "description": found.get("description", ""),
            "disable": found["disable"],
            # They are a set.
            "permissions": wanted if same else blocks,
        }

    def update(self) -> None:
        name = self.provider.send("GET", self.id, 200).json()["name"]
        self.provider.send("PUT", self.id, 200, self.body(name))


class User(Resource):
    def body(self) -> State:
        body = {
            "username": self.config["username"],
            "password": self.config["password"],
            "realname": self.config["full_name"],
            "email": self.config["email"],
            "new_password": self.config["password"],
        }
        return body | ({"sysadmin_flag": True} if self.config["admin"] else {})

    def create(self) -> None:
        self.id = self.provider.create("/users", self.body())

    def read(self) -> State:
        found = self.provider.send("GET", self.id, 200, missing=True).json()
        return {
            "username": found["username"],
            "full_name": found["realname"],
            "email": found["email"],
            "admin": found["sysadmin_flag"],
        }

    def update(self) -> None:
        self.provider.send("PUT", self.id, 200, self.body())
        self.provider.send("PUT", f"{self.id}/sysadmin", 200, self.body())
        if self.kept.get("password") != self.config["password"]:
            self.provider.send("PUT", f"{self.id}/password", 200, self.body())


class Group(Resource):
    def create(self) -> None:
        body = {"group_name": self.config["group_name"], "group_type": self.config["group_type"]}
        self.id = self.provider.create("/usergroups", body)

    def read(self) -> State:
        found = self.provider.send("GET", self.id, 200, missing=True).json()
        return {"group_name": found["group_name"], "group_type": found["group_type"]}

    def update(self) -> None:
        """Nothing of it can be changed."""


class Label(Resource):
    def body(self) -> State:
        project = self.config.get("project_id", "")
        return {
            "description": self.config["description"],
            "color": self.config["color"],
            "deleted": False,
            "scope": "p" if project else "g",
            "project_id": int(project.rpartition("/")[2]) if project else 0,
            "id": 0,
            "name": self.config["name"],
        }

    def create(self) -> None:
        self.id = self.provider.create("/labels", self.body())

    def read(self) -> State:
        found = self.provider.send("GET", self.id, 200, missing=True).json()
        return {
            "name": found["name"],
            "description": found.get("description", ""),
            "color": found.get("color", ""),
            "scope": found["scope"],
        }

    def update(self) -> None:
        self.provider.send("PUT", self.id, 200, self.body())


class ImmutableTagRule(Resource):
    def body(self, **more: object) -> State:
        return {
            "disabled": False,
            "scope_selectors": {
                "repository": [
                    {
                        "kind": "doublestar",
                        "decoration": "repoMatches",
                        "pattern": self.config["repo_matching"],
                    }
                ]
            },
            "tag_selectors": [
                {"kind": "doublestar", "decoration": "matches", "pattern": self.config["tag_matching"]}
            ],
            "action": "immutable",
            "template": "immutable_template",
            **more,
        }

    def create(self) -> None:
        self.id = self.provider.create(f"{self.config['project_id']}/immutabletagrules", self.body())
        if self.config["disabled"]:
            self.update()

    def read(self) -> State:
        number = int(self.id.rpartition("/")[2])
        path = f"{self.config['project_id']}/immutabletagrules?page_size=15"
        for found in self.provider.pages(path):
            if found["id"] == number:
                return {
                    "disabled": found.get("disabled", False),
                    "tag_matching": found["tag_selectors"][0]["pattern"],
                    "repo_matching": found["scope_selectors"]["repository"][0]["pattern"],
                }
        raise Gone(self.id)

    def update(self) -> None:
        number = int(self.id.rpartition("/")[2])
        self.provider.send("PUT", self.id, 200, self.body(id=number, disabled=self.config["disabled"]))


class SystemConfiguration(Resource):
    """There is one, and it cannot be destroyed."""

    id: str = "/configurations"

    def create(self) -> None:
        self.provider.send("PUT", "/configurations", 200, {**self.config, "quota_per_project_enable": True})

    def read(self) -> State:
        found = self.provider.send("GET", "/configurations", 200).json()
        for name, value in self.config.items():
            assert type(found[name]["value"]) is type(value), name
        return {name: found[name]["value"] for name in self.config}

    def update(self) -> None:
        self.create()

    def destroy(self) -> None:
        """The provider forgets it."""


class AuthConfiguration(SystemConfiguration):
    def create(self) -> None:
        always = {
            "oidc_verify_cert": True,
            "oidc_auto_onboard": False,
            "oidc_logout": False,
            "self_registration": False,
            "ldap_scope": 2,
            "ldap_group_search_scope": 2,
            "ldap_verify_cert": True,
            "scan_all_policy": {"parameter": {}},
        }
        self.provider.send("PUT", "/configurations", 200, always)

    def read(self) -> State:
        found = self.provider.send("GET", "/configurations", 200).json()
        return {"auth_mode": found["auth_mode"]["value"]}


class SecurityConfiguration(SystemConfiguration):
    def create(self) -> None:
        body: State = {"items": [{"cve_id": item} for item in self.config["cve_allowlist"]]}
        if self.config["expires_at"]:
            body["expires_at"] = self.config["expires_at"]
        self.provider.send("PUT", "/system/CVEAllowlist", 200, body)

    def read(self) -> State:
        found = self.provider.send("GET", "/system/CVEAllowlist", 200).json()
        listed = [item["cve_id"] for item in found["items"]]
        return {"cve_allowlist": listed, "expires_at": found.get("expires_at") or 0}

    def destroy(self) -> None:
        self.provider.send("PUT", "/system/CVEAllowlist", 200, {})
        assert self.provider.send("GET", "/system/CVEAllowlist", 200).json()["items"] == []


class PurgeAuditLog(SystemConfiguration):
    NEVER = "0001-01-01T00:00:00Z"
    CRONS: Mapping[str, str] = {"Hourly": "0 0 * * * *", "Daily": "0 0 0 * * *", "Weekly": "0 0 0 * * 0"}

    def _set(self, schedule: State) -> None:
        body = {
            "schedule": schedule,
            "creation_time": self.NEVER,
            "update_time": self.NEVER,
            "parameters": {
                "audit_retention_hour": self.config["audit_retention_hour"],
                "include_event_types": self.config["include_event_types"],
            },
        }
        path = "/system/purgeaudit/schedule"
        if self.provider.send("GET", path, 200).text:
            self.provider.send("PUT", path, 200, body)
        else:
            self.provider.send("POST", path, 201, body)

    def create(self) -> None:
        schedule = self.config["schedule"]
        known = self.CRONS.get(schedule)
        self._set({"type": schedule if known else "Custom", "cron": known or schedule})

    def read(self) -> State:
        answer = self.provider.send("GET", "/system/purgeaudit/schedule", 200)
        if not answer.text:
            raise Gone("schedule")
        found = answer.json()
        parameters = json.loads(found["job_parameters"])
        schedule = found["schedule"]
        return {
            "schedule": schedule["cron"] if schedule["type"] == "Custom" else schedule["type"],
            "audit_retention_hour": parameters["audit_retention_hour"],
            "include_event_types": parameters["include_event_types"],
        }

    def destroy(self) -> None:
        self._set({"type": "None"})
