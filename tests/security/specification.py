"""Who may do what, as the specification has it: written down apart from the program, to be compared with it.

A capital letter is create, read, update, delete or list; words stand for themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

ROLES = ("anybody", "limited guest", "guest", "developer", "maintainer", "project admin")
LETTERS = {"C": "create", "R": "read", "U": "update", "D": "delete", "L": "list"}
# "anybody" is whoever asks of a public project.  The last row is ours, not Harbor's.
TABLE = """
project              | R    | R       | R       | R              | R               | RUD
member               | -    | -       | RL      | RL             | RL              | CRUDL
metadata             | -    | -       | -       | -              | R               | CRUD
log                  | -    | -       | -       | -              | -               | L
label                | RL   | -       | RL      | RL             | CRUDL           | CRUDL
quota                | -    | R       | R       | R              | R               | R
repository           | L pull | RL pull | RL pull | CRUL pull push | CRUDL pull push | CRUDL pull push
tag-retention        | -    | -       | -       | CRUDL operate  | CRUDL operate   | CRUDL operate
immutable-tag        | -    | -       | -       | -              | CUDL            | CUDL
configuration        | -    | R       | R       | R              | R               | RU
robot                | -    | -       | RL      | RL             | RL              | CRUDL
notification-policy  | -    | -       | -       | -              | RL              | CRUDL
scan                 | R    | R       | R       | R              | CR stop         | CR stop
sbom                 | -    | R       | R       | R              | CR stop         | CR stop
scanner              | R    | R       | R       | R              | R               | CR
artifact             | RL   | RL      | RL      | CRL            | CRDL            | CRDL
artifact-addition    | R    | R       | R       | R              | R               | R
tag                  | L    | L       | L       | CL             | CDL             | CDL
accessory            | L    | L       | L       | L              | L               | L
artifact-label       | -    | -       | -       | CD             | CD              | CD
preheat-policy       | -    | -       | -       | -              | -               | CRUDL
export-cve           | -    | -       | -       | CRL            | CRL             | CRL
network-rule         | -    | -       | -       | -              | R               | RU
"""


def spelled(resource: str, cell: str) -> frozenset[str]:
    """The permissions of one cell."""
    words = cell.replace("-", "").split()
    letters = words.pop(0) if words and words[0].isupper() else ""
    return frozenset(f"{resource}:{action}" for action in [*(LETTERS[letter] for letter in letters), *words])


def lines() -> Mapping[str, tuple[str, ...]]:
    """Resource → its cells."""
    found = {}
    for line in TABLE.strip().splitlines():
        resource, *cells = (part.strip() for part in line.split("|"))
        found[resource] = tuple(cells)
    return found


def specified() -> Mapping[str, frozenset[str]]:
    """Role → its permissions."""
    return {
        role: frozenset().union(*(spelled(resource, cells[number]) for resource, cells in lines().items()))
        for number, role in enumerate(ROLES)
    }


def drawn(held: Mapping[str, Iterable[str]], permissions: Iterable[str]) -> str:
    """A table of these permissions in the form of the specification, as it is for whoever holds what."""
    wanted = set(permissions)
    rows = [["", *held]]
    for resource in sorted({permission.partition(":")[0] for permission in wanted}):
        cells = [_cell(resource, wanted & set(found)) for found in held.values()]
        rows.append([resource, *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _cell(resource: str, held: set[str]) -> str:
    actions = {permission.partition(":")[2] for permission in held if permission.startswith(f"{resource}:")}
    letters = "".join(letter for letter, action in LETTERS.items() if action in actions)
    words = sorted(actions - set(LETTERS.values()))
    return " ".join([letters, *words]).strip() or "-"
