"""A client's own text, made safe to repeat in a message: quoted, ASCII, and short."""

from __future__ import annotations

LONGEST_EXCERPT = 80


def excerpt(text: str) -> str:
    if len(text) > LONGEST_EXCERPT:
        return ascii(text[:LONGEST_EXCERPT]) + "…"
    return ascii(text)
