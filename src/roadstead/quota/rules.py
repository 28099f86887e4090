"""What follows from numbers alone: how far to reserve ahead, and how sizes are said."""

from __future__ import annotations

KIB = 1024
MIB = KIB * KIB
# The least and the most that an upload of unknown length reserves ahead; beyond, an eighth of what came.
LEAST_STEP = MIB
MOST_STEP = 16 * MIB
# Of a limit, so that a few uploads do not reserve all of a small one among them.
_SHARE_OF_LIMIT = 64
# Per cent of a limit from which on a project is nearly full.
NEARLY_FULL = 85

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def step_ahead(size: int, limit: int) -> int:
    """How many bytes to reserve beyond what is needed, for an upload that has `size` bytes by now."""
    ahead = max(min(max(size, LEAST_STEP), MOST_STEP), size // 8)
    return min(ahead, limit // _SHARE_OF_LIMIT)


def is_nearly_full(used: int, limit: int) -> bool:
    return limit >= 0 and used * 100 >= limit * NEARLY_FULL


def spelled(size: int) -> str:
    """As Harbor writes a size: `510.7 MiB`, and small ones in bytes."""
    if size < KIB:
        return f"{size} B"
    value = float(size)
    for unit in _UNITS:
        value /= KIB
        if value < KIB:
            return f"{value:.1f} {unit}"
    return f"{value:.1f} EiB"
