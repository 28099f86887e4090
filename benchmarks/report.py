"""Medians, ratios and tables out of the rounds' measurements."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_US = "roadstead"
_BEGIN = "<!-- benchmarks: begin -->"
_END = "<!-- benchmarks: end -->"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line done by one peer in one round.  `amount` is operations, or MiB where bytes are measured."""

    line: str
    peer: str
    round: int
    amount: float
    elapsed: float
    server_cpu: float
    client_cpu: float
    median_latency: float
    high_latency: float
    peak_memory: int
    resident_memory: int
    proportional_memory: int

    @property
    def rate(self) -> float:
        return self.amount / self.elapsed

    @property
    def cost(self) -> float:
        """Server CPU seconds for one operation or MiB."""
        return self.server_cpu / self.amount


@dataclass(frozen=True, slots=True)
class Row:
    """A line as it is printed.  `cost_unit` and `cost_scale` turn seconds for one into words."""

    name: str
    title: str
    unit: str
    cost_unit: str
    cost_scale: float


@dataclass(frozen=True, slots=True)
class Result:
    environment: Mapping[str, str | int]
    command: str
    versions: Mapping[str, str]
    titles: Mapping[str, str]
    rows: Sequence[Row]
    measurements: Sequence[Measurement]
    failures: Sequence[str]
    left_out: Sequence[str]

    def median(self, line: str, peer: str, of: Callable[[Measurement], float]) -> float | None:
        """The median over the rounds; None where nothing was measured."""
        found = [of(one) for one in self.measurements if (one.line, one.peer) == (line, peer)]
        return statistics.median(found) if found else None

    def document(self) -> dict[str, object]:
        """Everything, for a machine."""
        lines = [
            {"line": row.name, "title": row.title, "unit": row.unit, "peers": self._numbers(row)}
            for row in self.rows
        ]
        return {
            "environment": dict(self.environment),
            "command": self.command,
            "versions": dict(self.versions),
            "lines": lines,
            "measurements": [asdict(one) for one in self.measurements],
            "failures": list(self.failures),
            "left_out": list(self.left_out),
        }

    def _numbers(self, row: Row) -> dict[str, dict[str, float | None]]:
        return {
            peer: {
                "rate": self.median(row.name, peer, _rate),
                "server_cpu_seconds_each": self.median(row.name, peer, _cost),
                "median_latency": self.median(row.name, peer, lambda one: one.median_latency),
                "p99_latency": self.median(row.name, peer, lambda one: one.high_latency),
                "peak_memory": self.median(row.name, peer, lambda one: one.peak_memory),
                "ratio": ratio(self.median(row.name, _US, _rate), self.median(row.name, peer, _rate)),
            }
            for peer in self.versions
        }

    def markdown(self) -> str:
        """Everything that a person wants to see."""
        parts = [
            self._environment(),
            "Rates, the median of the rounds. Ratio: Roadstead's by the peer's. Above 1, Roadstead is ahead.",
            self._table(_rate, _rate_text, ratio),
            "CPU time of the server. Ratio: the peer's by Roadstead's. Above 1, Roadstead needs less.",
            self._table(_cost, _cost_text, lambda ours, theirs: ratio(theirs, ours)),
            "Memory of the server, in MiB: the peaks of its processes added up.",
            self._table(lambda one: one.peak_memory, _memory_text, None),
            "The same, at the end of the line, with pages that processes share counted once.",
            self._table(lambda one: one.proportional_memory, _memory_text, None),
            self._verdict(),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _environment(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self.environment.items())
        versions = ", ".join(f"{self.titles[peer]} ({version})" for peer, version in self.versions.items())
        return f"`{self.command}`\n\n{facts}. Compared: {versions}."

    def _table(
        self,
        of: Callable[[Measurement], float],
        text: Callable[[float, Row], str],
        compare: Callable[[float | None, float | None], float | None] | None,
    ) -> str:
        peers = list(self.versions)
        head = ["line"]
        for peer in peers:
            head.append(self.titles[peer])
            if peer != _US and compare is not None and _US in peers:
                head.append("ratio")
        body = [self._cells(row, peers, of, text, compare) for row in self.rows]
        ruler = ["---"] + ["--:"] * (len(head) - 1)
        return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ruler, *body])

    def _cells(
        self,
        row: Row,
        peers: Sequence[str],
        of: Callable[[Measurement], float],
        text: Callable[[float, Row], str],
        compare: Callable[[float | None, float | None], float | None] | None,
    ) -> list[str]:
        ours = self.median(row.name, _US, of)
        cells = [row.title]
        for peer in peers:
            value = self.median(row.name, peer, of)
            cells.append("n/a" if value is None else text(value, row))
            if peer != _US and compare is not None and _US in peers:
                times = compare(ours, value)
                cells.append("n/a" if times is None else f"{times:.2f}")
        return cells

    def _verdict(self) -> str:
        peers = [peer for peer in self.versions if peer != _US and _US in self.versions]
        sentences = [f"- Against {self.titles[peer]}: {self._standing(peer)}." for peer in peers]
        sentences += [f"- Left out: {reason}" for reason in self.left_out]
        sentences += [f"- Failed: {failure}" for failure in self.failures]
        return "\n".join(sentences)

    def _standing(self, peer: str) -> str:
        """Where Roadstead's rate is the lower one."""
        ratios = {
            row.title: ratio(self.median(row.name, _US, _rate), self.median(row.name, peer, _rate))
            for row in self.rows
        }
        compared = {title: times for title, times in ratios.items() if times is not None}
        if not compared:
            return "nothing to compare"
        behind = [title for title, times in compared.items() if times < 1]
        return f"behind on {', '.join(behind)}" if behind else "ahead on every line measured"


def ratio(one: float | None, other: float | None) -> float | None:
    """None where either is unknown or there is nothing to divide by."""
    return one / other if one is not None and other else None


def _rate(one: Measurement) -> float:
    return one.rate


def _cost(one: Measurement) -> float:
    return one.cost


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _rate_text(value: float, row: Row) -> str:
    return f"{_number(value)} {row.unit}"


def _cost_text(value: float, row: Row) -> str:
    return f"{_number(value * row.cost_scale)} {row.cost_unit}"


def _memory_text(value: float, _row: Row) -> str:
    return f"{value / 1024**2:,.0f}"


def replace_between_marks(page: str, text: str) -> str:
    """The page with everything between the marks replaced."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the page has no {_BEGIN} … {_END}")
    return f"{before}{_BEGIN}\n\n{text.strip()}\n\n{_END}{after}"


def write_into(page: Path, text: str) -> None:
    page.write_text(replace_between_marks(page.read_text(), text))
