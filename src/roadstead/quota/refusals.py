"""What a quota says when it refuses."""

from __future__ import annotations

from typing import ClassVar

from roadstead.errors import Denied
from roadstead.quota.rules import spelled


class QuotaExceeded(Denied):
    """A limit would be exceeded.  Harbor's answer: 403 with the code DENIED."""

    says_denied: ClassVar[bool] = True


class StorageExceeded(QuotaExceeded):
    """In Harbor's words."""

    def __init__(self, *, wanted: int, used: int, limit: int) -> None:
        super().__init__(
            f"adding {spelled(wanted)} of storage resource, which when updated to current usage of"
            f" {spelled(used)} will exceed the configured upper limit of {spelled(limit)}.",
            remedy="delete what is not needed, or ask an administrator for a higher storage quota",
            wanted=wanted,
            used=used,
            limit=limit,
        )


class CountExceeded(QuotaExceeded):
    """`what` is plural, such as "repositories in the project web"."""

    def __init__(self, what: str, *, limit: int, remedy: str) -> None:
        super().__init__(
            f"the quota allows {limit} {what}, and this would be more", remedy=remedy, limit=limit
        )
