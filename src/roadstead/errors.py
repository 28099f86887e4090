"""What can go wrong, in the registry's own words.  Knows nothing of HTTP.

Families (`NotFound`, `Denied`, …) say what kind of refusal it is; their children carry the code that the
OCI distribution specification gives it.  A dialect maps families to statuses at the edge, and the nearest
ancestor wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

Fact = str | int | float | bool | None


class RoadsteadError(Exception):
    """A refusal or a failure that we can explain.

    `message` states the rule that was broken, with its limit.  `remedy` says what to do about it.
    `facts` are values that a machine may read; they never hold a secret.
    """

    code: ClassVar[str] = "UNKNOWN"

    def __init__(
        self, message: str, *, remedy: str = "", retry_after: int | None = None, **facts: Fact
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.retry_after = retry_after
        self.facts: Mapping[str, Fact] = facts

    @property
    def parts(self) -> Sequence[RoadsteadError]:
        """The errors this one stands for: itself, unless it gathers several."""
        return (self,)


# ── families ────────────────────────────────────────────────────────────────────────────────────────────


class Invalid(RoadsteadError):
    """The request cannot be right, whoever sends it."""


class Unauthenticated(RoadsteadError):
    """We do not know who is asking, or the proof offered is not good."""

    code = "UNAUTHORIZED"


class Denied(RoadsteadError):
    """We know who is asking, and they may not."""

    code = "DENIED"


class NotFound(RoadsteadError):
    """There is nothing of that name, or the caller may not know that there is."""


class Unsupported(RoadsteadError):
    """This registry does not do that."""

    code = "UNSUPPORTED"


class Conflict(RoadsteadError):
    """Something else happened first."""


class Precondition(RoadsteadError):
    """A rule of the project, or the state of things, forbids it now; somebody may change that."""

    code = "PRECONDITION"


class NotBuilt(Unsupported):
    """Harbor has it, and this registry does not, or not yet."""


class TooLarge(RoadsteadError):
    """More bytes than the limit allows."""

    code = "SIZE_INVALID"


class TooManyRequests(RoadsteadError):
    """Slower, please.  Carries `retry_after` in seconds."""

    code = "TOOMANYREQUESTS"


class Unavailable(RoadsteadError):
    """A part of us that is needed does not answer.  Worth trying again."""

    code = "UNAVAILABLE"


class InsufficientStorage(Unavailable):
    """There is no room for the bytes."""


class RequestTimeout(RoadsteadError):
    """The client was too slow."""


# ── the OCI specification's codes ───────────────────────────────────────────────────────────────────────


class NameInvalid(Invalid):
    code = "NAME_INVALID"


class TagInvalid(Invalid):
    code = "TAG_INVALID"


class DigestInvalid(Invalid):
    code = "DIGEST_INVALID"


class SizeInvalid(Invalid):
    code = "SIZE_INVALID"


class ManifestInvalid(Invalid):
    code = "MANIFEST_INVALID"


class PaginationInvalid(Invalid):
    code = "PAGINATION_NUMBER_INVALID"


class BlobUploadInvalid(Invalid):
    code = "BLOB_UPLOAD_INVALID"


class RequestInvalid(Invalid):
    code = "UNSUPPORTED"


class RangeInvalid(RoadsteadError):
    """The range asked for, or the chunk sent, does not fit what is there."""

    code = "RANGE_INVALID"


class ManifestTooLarge(TooLarge):
    code = "MANIFEST_INVALID"


class NameUnknown(NotFound):
    code = "NAME_UNKNOWN"


class ManifestUnknown(NotFound):
    code = "MANIFEST_UNKNOWN"


class BlobUnknown(NotFound):
    code = "BLOB_UNKNOWN"


class BlobUploadUnknown(NotFound):
    code = "BLOB_UPLOAD_UNKNOWN"


class ManifestBlobUnknown(Invalid):
    """A manifest names content that its repository does not hold: one part for each digest."""

    code = "MANIFEST_BLOB_UNKNOWN"

    def __init__(self, message: str, *, digests: Sequence[str], remedy: str = "") -> None:
        super().__init__(message, remedy=remedy, digest=digests[0])
        self.digests = tuple(digests)

    @property
    def parts(self) -> Sequence[RoadsteadError]:
        return [ManifestBlobUnknown(self.message, digests=[d], remedy=self.remedy) for d in self.digests]
