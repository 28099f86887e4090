"""`roadstead key …`: the keys that sign tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.offline import ask_offline
from roadstead.cli.options import data_options, output_options
from roadstead.cli.output import Record, print_list
from roadstead.cli.terminal import confirm_or_refuse, say

if TYPE_CHECKING:
    from roadstead.identity.keys import KeyRing
    from roadstead.wiring import Offline

_COLUMNS = ("kid", "state")


@click.group(
    "key",
    cls=LazyGroup,
    members={},
    examples=[
        ("Which keys there are", "roadstead key list"),
        ("Sign with a new key from now on", "roadstead key rotate"),
    ],
)
def key() -> None:
    """List and rotate the keys that sign tokens."""


@command(
    "list",
    examples=[
        ("The keys whose tokens may still be good", "roadstead key list"),
        ("Their names only", "roadstead key list -q"),
    ],
)
@data_options
@output_options
def list_keys(
    *,
    config_file: Path | None,
    data: str | None,
    output_format: str,
    quiet: bool,
    columns: str | None,
    sort: str | None,
) -> None:
    """List the keys whose tokens may still be good."""
    print_list(
        ask_offline(config_file, data, _records), name="kid", columns=_COLUMNS,
        output_format=output_format, quiet=quiet, chosen=columns, sort=sort,
    )  # fmt: skip


@command(
    "rotate",
    examples=[
        ("Sign with a new key; tokens that are out stay good", "roadstead key rotate"),
        ("Somebody may have the old key: everybody signs in again", "roadstead key rotate --distrust --yes"),
    ],
)
@click.option("--distrust", is_flag=True, help="Void every token that was signed before.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_options
def rotate(config_file: Path | None, data: str | None, distrust: bool, yes: bool) -> None:
    """Sign with a new key from now on.  Running servers follow within a minute."""
    if distrust:
        confirm_or_refuse("Void every token that is out? Everybody has to sign in again", yes=yes)

    async def rotated(offline: Offline) -> str:
        return await (await _ring(offline)).rotate(distrust=distrust)

    kid = ask_offline(config_file, data, rotated)
    say(f"Tokens are signed with {kid} from now on. Running servers follow within a minute.")


for member in (list_keys, rotate):
    key.add_command(member)


async def _ring(offline: Offline) -> KeyRing:
    from roadstead.identity.keys import KeyRing
    from roadstead.wiring import kept_keys

    return await KeyRing.open(offline.database, keep=kept_keys(offline.settings))


async def _records(offline: Offline) -> list[Record]:
    ring = await _ring(offline)
    return [
        {"kid": kid, "state": "signs" if kid == ring.signing.kid else "verifies"}
        for kid in sorted(ring.verifying)
    ]
