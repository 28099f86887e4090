"""Who is asking, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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

    @property
    def anonymous(self) -> bool:
        return self.user_id is None

    def limits(self, repository: str, action: str) -> bool:
        """Whether the token that was shown leaves this action out."""
        return self.scopes is not None and action not in self.scopes.get(repository, ())


ANONYMOUS = Principal(user_id=None, username="", epoch=0, scopes=None)
