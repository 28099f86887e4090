"""What clients were told, to be held against what is there."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.system.content import Content


@dataclass
class Begun:
    """An upload that a client was told of."""

    repository: str
    content: Content
    # The server said that it has this many bytes.
    acknowledged: int = 0
    # The client has sent this many.
    sent: int = 0
    # A request that ends the upload is on its way, or its answer was lost.
    ending: bool = False


@dataclass
class Ledger:
    # By repository and digest: 201, or 200 to a HEAD.
    blobs: dict[tuple[str, str], Content] = field(default_factory=dict)
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    # Tags that one client pushes, once.
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    # Tags that many clients push: what they may be at.
    contested: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    # Contested tags that somebody was told exist.
    settled: set[tuple[str, str]] = field(default_factory=set)
    uploads: dict[str, Begun] = field(default_factory=dict)
    # What must never happen, in words.
    violations: list[str] = field(default_factory=list)

    answers: int = 0
    pushed: int = 0
    lost: int = 0
    resumed: int = 0
    begun_again: int = 0
    overtaken: int = 0
    unavailable: int = 0
    walked_away: int = 0

    def violation(self, text: str) -> None:
        self.violations.append(text)
