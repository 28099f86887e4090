"""What a label may be, as plain functions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from roadstead.errors import Invalid
from roadstead.oci.excerpts import excerpt

LONGEST_LABEL = 128
LONGEST_DESCRIPTION = 1000

_COLOR = re.compile(r"#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})")
# goharbor's Terraform provider sends it where no color is given, and wants it back.
_NO_COLORS = frozenset({"", "false"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class LabelInvalid(Invalid):
    """No label can be like that."""


@dataclass(frozen=True, slots=True)
class LabelDraft:
    name: str
    description: str = ""
    color: str = ""

    def check(self) -> LabelDraft:
        """Raises `LabelInvalid`."""
        name = self.name.strip()
        if not 1 <= len(name) <= LONGEST_LABEL or _CONTROL.search(name):
            raise LabelInvalid(
                f"the name of a label has from 1 to {LONGEST_LABEL} characters, and none that control anything",
                remedy="choose such a name",
                limit=LONGEST_LABEL,
            )
        if len(self.description) > LONGEST_DESCRIPTION:
            raise LabelInvalid(
                f"a description has at most {LONGEST_DESCRIPTION} characters",
                remedy="give a shorter one",
                limit=LONGEST_DESCRIPTION,
            )
        if self.color not in _NO_COLORS and _COLOR.fullmatch(self.color) is None:
            raise LabelInvalid(
                f"{excerpt(self.color)} is not a color", remedy="write one like #0065AB, or none at all"
            )
        return LabelDraft(name, self.description, self.color)
