"""Data on standard output: as a table for people, as JSON, JSON lines, CSV or bare names for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import click

Record = Mapping[str, Any]
# How a table says the values of a column, where that is not as they are.
Words = Mapping[str, Callable[[Any], str]]
_AS_IT_IS: Words = MappingProxyType({})
# What people call what the API keeps inside other things.
_TITLES = MappingProxyType(
    {
        "metadata.public": "PUBLIC",
        "metadata.deletion_protected": "PROTECTED",
        "ref.name": "PROJECT",
        "used.storage": "USED",
        "hard.storage": "LIMIT",
    }
)


@dataclass(frozen=True, slots=True)
class Printer:
    """How the options of a command ask for its data to be printed."""

    output_format: str
    quiet: bool
    columns: str | None = None
    sort: str | None = None

    def list(
        self, records: Iterable[Record], *, name: str, columns: Sequence[str], words: Words = _AS_IT_IS
    ) -> None:
        print_list(
            [*records], name=name, columns=columns, words=words,
            output_format=self.output_format, quiet=self.quiet, chosen=self.columns, sort=self.sort,
        )  # fmt: skip

    def one(self, record: Record, *, name: str, words: Words = _AS_IT_IS) -> None:
        print_one(record, name=name, words=words, output_format=self.output_format, quiet=self.quiet)


def print_list(
    records: Sequence[Record],
    *,
    name: str,
    columns: Sequence[str],
    output_format: str,
    quiet: bool = False,
    chosen: str | None = None,
    sort: str | None = None,
    words: Words = _AS_IT_IS,
) -> None:
    """Print records.  `name` is the key that stands for a record, `columns` those that a table shows.

    JSON always holds every key, in the shape that the REST API gives.  Elsewhere `a.b` is the key `b` of the
    object `a`, and a key that a record leaves out is empty.
    """
    documents, records = records, [_flat(record, words=words) for record in records]
    known = list(dict.fromkeys([*(key for record in records for key in record), *columns]))
    shown = _chosen(chosen, columns, known)
    if sort:
        order = _sorted(range(len(records)), records, sort, known)
        documents, records = [documents[i] for i in order], [records[i] for i in order]
    if quiet:
        output_format = "name"
    match output_format:
        case "json":
            click.echo(json.dumps(list(documents), indent=2, ensure_ascii=False))
        case "jsonl":
            for document in documents:
                click.echo(json.dumps(document, ensure_ascii=False))
        case "csv":
            click.echo(_csv(records, shown if chosen else known), nl=False)
        case "name":
            for record in records:
                click.echo(cell(record[name]))
        case _:
            _print_table([[_said(record, key, words) for key in shown] for record in records], shown)


def print_one(
    record: Record, *, name: str, output_format: str, quiet: bool = False, words: Words = _AS_IT_IS
) -> None:
    """Print one record: a key on each line, or as `print_list` would."""
    if quiet or output_format in {"name", "csv", "jsonl"}:
        print_list([record], name=name, columns=list(_flat(record)), output_format=output_format, quiet=quiet)
    elif output_format == "json":
        click.echo(json.dumps(record, indent=2, ensure_ascii=False))
    else:
        flat = _flat(record, words=words)
        width = max(len(heading(key)) for key in flat)
        for key in flat:
            click.echo(f"{click.style(f'{heading(key):<{width}}', bold=True)}  {_said(flat, key, words)}")


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


def _said(record: Record, key: str, words: Words) -> str:
    value = record.get(key)
    return words[key](value) if key in words and value is not None else cell(value)


def heading(key: str) -> str:
    return _TITLES.get(key) or key.replace("_", " ").replace(".", " ").upper()


def _flat(record: Record, prefix: str = "", words: Words = _AS_IT_IS) -> dict[str, Any]:
    """The record without objects inside it, but where `words` can say them."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if key in words:
            flat[key] = value
        elif isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            flat[prefix + key] = json.dumps(value, ensure_ascii=False)
        else:
            flat[prefix + key] = value
    return flat


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
        writer.writerow([_csv_cell(record.get(key)) for key in keys])
    return text.getvalue()


def _csv_cell(value: object) -> object:
    """A list is its items, and never a formula that a spreadsheet would run."""
    text = " ".join(map(str, value)) if isinstance(value, list) else value
    if isinstance(value, Mapping):
        text = json.dumps(value, ensure_ascii=False)
    if isinstance(text, str) and text[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{text}"
    return "" if text is None else text


def _chosen(chosen: str | None, columns: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    if not chosen:
        return columns
    keys = [key.strip() for key in chosen.split(",")]
    for key in keys:
        _must_be_known(key, known, "--columns")
    return keys


def _sorted(indices: Iterable[int], records: Sequence[Record], sort: str, known: Sequence[str]) -> list[int]:
    """The order of the records by a column; those without it come last."""
    key = sort.removeprefix("-")
    _must_be_known(key, known, "--sort")
    present = [i for i in indices if records[i].get(key) is not None]
    absent = [i for i in range(len(records)) if records[i].get(key) is None]
    return [*sorted(present, key=lambda i: _sort_key(records[i][key]), reverse=sort.startswith("-")), *absent]


def _sort_key(value: object) -> tuple[bool, Any]:
    """Numbers before words, so that any two can be compared."""
    return (False, value) if isinstance(value, int | float) else (True, str(value))


def _must_be_known(key: str, known: Sequence[str], flag: str) -> None:
    if key not in known:
        raise click.UsageError(f"{flag}: there is no column {key!r}. Choose from: {', '.join(known)}.")
