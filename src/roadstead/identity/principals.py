"""Who is asking, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

# The key in `Principal.scopes` under which rights to the registry itself are kept.
REGISTRY = ""


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose proof of identity was good when it was checked.

    It says who, never what they may do.  `epoch` must still be the account's when the facts are read.
    """

    # None is an anonymous caller.
    user_id: int | None
    # Empty for an anonymous caller.
    username: str
    # `users.credential_epoch` when the proof was made.
    epoch: int
    # None: not narrowed by a token.  Else full repository name → actions; `REGISTRY` holds {"catalog"}.
    scopes: Mapping[str, frozenset[str]] | None
    # The process itself, or a person at its command line with the right to read its database: may do everything.
    # No proof that comes over a network ever makes one.
    operator: bool = False
    # The password that was shown is good for nothing but choosing another.
    must_change: bool = False
    # A short-lived token was shown, which ends then, in milliseconds since 1970: nothing made from it may be good for
    # longer.
    until: int | None = None
    # Where this request comes from: the client's address; "registry", "api", "portal", "cli" or "job"; its id.
    address: str = ""
    door: str = ""
    request_id: str = ""

    def at(self, door: str, *, address: str, request_id: str) -> Principal:
        """The same caller, in one request."""
        return replace(self, door=door, address=address, request_id=request_id)

    @property
    def anonymous(self) -> bool:
        return self.user_id is None and not self.operator

    def limits(self, repository: str, action: str) -> bool:
        """Whether the token that was shown leaves this action out."""
        return self.scopes is not None and action not in self.scopes.get(repository, ())


ANONYMOUS = Principal(user_id=None, username="", epoch=0, scopes=None)
OPERATOR = Principal(user_id=None, username="operator", epoch=0, scopes=None, operator=True, door="cli")
