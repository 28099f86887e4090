"""What this floor asks of the one that decides: `projects.authority.Authority` is one."""

from __future__ import annotations

from typing import Protocol

from roadstead.identity.principals import Principal


class SystemAuthority(Protocol):
    """Answers by the caller's account as it is now: each of these raises `Unauthenticated` for a proof that has been
    overtaken, and `Denied` for an address that is not let in.
    """

    async def system(self, principal: Principal, permission: str) -> None:
        """Return if the caller may do `permission` in the registry as a whole, else raise `Unauthenticated` for
        nobody, and `Denied`.
        """
        ...

    async def signed_in(self, principal: Principal) -> object:
        """Raise `Unauthenticated` for nobody."""
        ...

    async def administrator(self, principal: Principal) -> bool:
        """Whether the caller administers the registry."""
        ...
