"""What may be done, as people write it: `push`, or Harbor's `repository:push`."""

from __future__ import annotations

from collections.abc import Iterable

import click

# What people mean when they say one word: a push looks before it sends.
_WORDS = {
    "pull": ("repository:pull",),
    "push": ("repository:pull", "repository:push"),
    "delete": ("artifact:delete", "repository:delete", "tag:delete"),
}


def accesses(words: Iterable[str]) -> list[dict[str, str]]:
    """The permissions in the API's form."""
    names = sorted({name for word in words for name in _WORDS.get(word, (word,))})
    found = []
    for name in names:
        resource, _, action = name.partition(":")
        if not resource or not action:
            raise click.UsageError(
                f"{name!r} is no permission. Write pull, push, delete, or RESOURCE:ACTION."
            )
        found.append({"resource": resource, "action": action})
    return found
