"""Sizes as people write them."""

from __future__ import annotations

import re

import click

UNLIMITED = -1
_UNITS: dict[str, int] = {
    "": 1,
    **{f"{letter}b": 1000**n for n, letter in enumerate("kmgtp", start=1)},
    **{f"{letter}ib": 1024**n for n, letter in enumerate("kmgtp", start=1)},
}
_UNITS["b"] = 1


def size(text: str) -> int:
    """Bytes, from `500 GB`, `2TiB`, a number of bytes, or `unlimited`.  An option's type."""
    if text.strip().lower() == "unlimited":
        return UNLIMITED
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if found is None or found[2] not in _UNITS:
        raise click.BadParameter(f"{text!r} is no size. Write 500GB, 2TiB, a number of bytes, or unlimited.")
    amount, unit = str(found[1]), _UNITS[found[2]]
    return round(float(amount) * unit) if "." in amount else int(amount) * unit


def in_words(amount_of_bytes: int) -> str:
    if amount_of_bytes < 0:
        return "unlimited"
    amount = float(amount_of_bytes)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} PB"
