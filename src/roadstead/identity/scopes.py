"""The scopes of Docker's token protocol: `repository:NAME:pull,push`, `registry:catalog:*`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from roadstead.errors import RequestInvalid
from roadstead.identity.principals import REGISTRY

MAX_SCOPES = 100
MAX_SCOPE_BYTES = 8 * 1024

# The order in which clients write them.
REPOSITORY_ACTIONS = ("pull", "push", "delete")
_CATALOG = "catalog"


@dataclass(frozen=True, slots=True)
class RequestedScope:
    """Something a client asks to be allowed.  `*` has become the actions it stands for."""

    # "repository" or "registry".
    type: str
    # As the client spells it: it may be no repository's name at all.
    name: str
    actions: frozenset[str]

    def __str__(self) -> str:
        return _format(self.type, self.name, self.actions)


@dataclass(frozen=True, slots=True)
class GrantedScope:
    """What is allowed of it.  `name` is a repository's full name; no actions mean that nothing is."""

    type: str
    name: str
    actions: frozenset[str]

    def __str__(self) -> str:
        return _format(self.type, self.name, self.actions)


def parse_scope(text: str) -> RequestedScope | None:
    """None for a scope that can never be granted: malformed, of a type or with actions unknown here."""
    kind, _, rest = text.partition(":")
    # The name may hold a port: the actions follow the last colon.
    name, separator, listed = rest.rpartition(":")
    if not separator or not name:
        return None
    asked = frozenset(listed.split(","))
    if kind == "repository":
        actions = frozenset(REPOSITORY_ACTIONS) & asked
        return RequestedScope(kind, name, frozenset(REPOSITORY_ACTIONS) if "*" in asked else actions)
    if kind == "registry" and name == _CATALOG and "*" in asked:
        return RequestedScope(kind, name, frozenset({"*"}))
    return None


def parse_scopes(values: Iterable[str]) -> list[RequestedScope]:
    """What a token request asks for: each value may hold several scopes, separated by spaces.

    Scopes of one name are joined, so that each name is looked up once.  Raises `RequestInvalid` beyond
    `MAX_SCOPES` or `MAX_SCOPE_BYTES`.
    """
    texts = [text for value in values for text in value.split(" ") if text]
    if len(texts) > MAX_SCOPES or sum(len(text) for text in texts) > MAX_SCOPE_BYTES:
        raise RequestInvalid(
            f"a token request may name {MAX_SCOPES} scopes in {MAX_SCOPE_BYTES} bytes",
            remedy="ask for several tokens",
            scopes=len(texts),
        )
    wanted: dict[tuple[str, str], RequestedScope] = {}
    for scope in filter(None, map(parse_scope, texts)):
        key = (scope.type, scope.name)
        before = wanted.get(key)
        actions = scope.actions if before is None else scope.actions | before.actions
        wanted[key] = RequestedScope(scope.type, scope.name, actions)
    return list(wanted.values())


def access_list(granted: Iterable[GrantedScope]) -> list[dict[str, object]]:
    """The `access` claim of a token, in the form that Docker's tokens have.  What is denied is left out."""
    return [
        {"type": scope.type, "name": scope.name, "actions": _ordered(scope.actions)}
        for scope in granted
        if scope.actions
    ]


def narrow(granted: Iterable[GrantedScope]) -> Mapping[str, frozenset[str]]:
    """The same as `Principal.scopes`."""
    scopes: dict[str, frozenset[str]] = {}
    for scope in granted:
        if scope.type == "repository" and scope.name:
            scopes[scope.name] = scopes.get(scope.name, frozenset()) | scope.actions
        elif scope.type == "registry" and scope.name == _CATALOG and "*" in scope.actions:
            scopes[REGISTRY] = frozenset({_CATALOG})
    return scopes


def _ordered(actions: frozenset[str]) -> list[str]:
    known = [action for action in REPOSITORY_ACTIONS if action in actions]
    return known + sorted(actions.difference(REPOSITORY_ACTIONS))


def _format(kind: str, name: str, actions: frozenset[str]) -> str:
    return f"{kind}:{name}:{','.join(_ordered(actions))}"
