"""Data on standard output: as a table for people, as JSON, JSON lines, CSV or bare names for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

Record = Mapping[str, Any]


def print_list(
    records: Sequence[Record],
    *,
    name: str,
    columns: Sequence[str],
    output_format: str,
    quiet: bool = False,
    chosen: str | None = None,
    sort: str | None = None,
) -> None:
    """Print records.  `name` is the key that stands for a record, `columns` those that a table shows.

    JSON always holds every key, in the shape that the REST API gives.
    """
    known = list(records[0]) if records else list(columns)
    shown = _chosen(chosen, columns, known)
    if sort:
        records = _sorted(records, sort, known)
    if quiet:
        output_format = "name"
    match output_format:
        case "json":
            click.echo(json.dumps(list(records), indent=2, ensure_ascii=False))
        case "jsonl":
            for record in records:
                click.echo(json.dumps(record, ensure_ascii=False))
        case "csv":
            click.echo(_csv(records, shown if chosen else known), nl=False)
        case "name":
            for record in records:
                click.echo(record[name])
        case _:
            _print_table([[cell(record[key]) for key in shown] for record in records], shown)


def print_one(record: Record, *, name: str, output_format: str, quiet: bool = False) -> None:
    """Print one record: a key on each line, or as `print_list` would."""
    if quiet or output_format in {"name", "csv", "jsonl"}:
        print_list([record], name=name, columns=list(record), output_format=output_format, quiet=quiet)
    elif output_format == "json":
        click.echo(json.dumps(record, indent=2, ensure_ascii=False))
    else:
        width = max(len(heading(key)) for key in record)
        for key, value in record.items():
            click.echo(f"{click.style(f'{heading(key):<{width}}', bold=True)}  {cell(value)}")


def cell(value: object) -> str:
    """A value as a person reads it.  Control characters cannot reach the terminal."""
    match value:
        case None | "" | [] | ():
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(cell(item) for item in value)
        case _:
            return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(value))


def heading(key: str) -> str:
    return key.replace("_", " ").upper()


def _print_table(rows: Sequence[Sequence[str]], keys: Sequence[str]) -> None:
    headings = [heading(key) for key in keys]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    click.echo(click.style(_line(headings, widths), bold=True))
    for row in rows:
        click.echo(_line(row, widths))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{text:<{width}}" for text, width in zip(cells, widths, strict=True)).rstrip()


def _csv(records: Sequence[Record], keys: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(keys)
    for record in records:
        writer.writerow(["" if record[key] is None else record[key] for key in keys])
    return text.getvalue()


def _chosen(chosen: str | None, columns: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    if not chosen:
        return columns
    keys = [key.strip() for key in chosen.split(",")]
    for key in keys:
        _must_be_known(key, known, "--columns")
    return keys


def _sorted(records: Sequence[Record], sort: str, known: Sequence[str]) -> Sequence[Record]:
    key = sort.removeprefix("-")
    _must_be_known(key, known, "--sort")
    present = [record for record in records if record[key] is not None]
    absent = [record for record in records if record[key] is None]
    return [*sorted(present, key=lambda record: record[key], reverse=sort.startswith("-")), *absent]


def _must_be_known(key: str, known: Sequence[str], flag: str) -> None:
    if key not in known:
        raise click.UsageError(f"{flag}: there is no column {key!r}. Choose from: {', '.join(known)}.")
