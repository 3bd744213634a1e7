"""What a part of the suite finds: tables, figures with an aim, and plots; and how they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from .plots import bars

Rounds = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much a part measures."""

    rounds: int = 5
    quick: bool = False

    def of(self, whole: int, quick: int) -> int:
        """A number of things to do."""
        return quick if self.quick else whole


@dataclass(frozen=True, slots=True)
class Aim:
    """A figure, and what it should be: at least `aim`, or `at_most` it."""

    figure: str
    value: float
    aim: float
    unit: str = "times"
    at_most: bool = False

    def share(self) -> float:
        """How much of the aim is reached; 1 and more is all of it."""
        ratio = self.aim / max(self.value, 1e-9) if self.at_most else self.value / self.aim
        return min(ratio, 1e3)

    def cells(self) -> list[str]:
        bound = "at most" if self.at_most else "at least"
        reached = "yes" if self.share() >= 1 else f"{self.share():.0%}"
        return [self.figure, f"{number(self.value)} {self.unit}", f"{bound} {self.aim:g}", reached]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its first column names the row."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def markdown(self) -> str:
        align = ["---", *["---:"] * (len(self.head) - 1)]
        lines = [f"| {' | '.join(row)} |" for row in (self.head, align, *self.rows)]
        return "\n".join([*lines, *(["", self.note] if self.note else [])])


@dataclass(slots=True)
class Part:
    """What a part of the suite found; `plots` are SVG texts by the name of their file."""

    title: str
    tables: list[Table]
    aims: list[Aim] = field(default_factory=list)
    plots: dict[str, str] = field(default_factory=dict)

    def markdown(self) -> str:
        pictures = [f"![{Path(file).stem.replace('_', ' ')}]({file})" for file in self.plots]
        tables = [table.markdown() for table in self.tables]
        return "\n\n".join([f"## {self.title}", *tables, *pictures])


def aims_table(aims: Sequence[Aim]) -> Table:
    return Table(("figure", "measured", "aim", "reached"), [aim.cells() for aim in aims])


def write(folder: Path, head: Sequence[str], parts: Sequence[Part]) -> list[Aim]:
    """Write all that was found so far; the figures with an aim."""
    aims = [aim for part in parts for aim in part.aims]
    plots = {file: svg for part in parts for file, svg in part.plots.items()}
    plots["aims.svg"] = bars("How much of each aim is reached", {a.figure: a.share() for a in aims})
    for file, svg in plots.items():
        (folder / file).write_text(svg)
    top = ["# How fast Terzetto is", "\n".join(head), "## Figures with an aim"]
    overview = [aims_table(aims).markdown(), "![How much of each aim is reached](aims.svg)"]
    text = "\n\n".join([*top, *overview, *(part.markdown() for part in parts)])
    (folder / "speed.md").write_text(f"{text}\n")
    return aims


def number(value: float) -> str:
    """Three digits, or all before the point."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def of_rounds(rounds: Rounds, share: float) -> float:
    """The median over the rounds of a quantile."""
    return median(quantile(values, share) for values in rounds)


def p50_p99(rounds: Rounds) -> str:
    """Both in milliseconds; the values are seconds."""
    return f"{number(of_rounds(rounds, 0.5) * 1e3)} / {number(of_rounds(rounds, 0.99) * 1e3)}"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over the rounds of what each round says."""
    return median(our / their for our, their in zip(ours, theirs, strict=True))
