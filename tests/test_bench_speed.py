"""The pure parts of the benchmark suite: quantiles, tables, the report and its plots. No times."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.append(str(Path(__file__).resolve().parent / "bench"))

from speed.figures import Aim, Part, Table, number, of_rounds, p50_p99, quantile, ratio, write
from speed.plots import COLOURS, bars, lines

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(("share", "found"), [(0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)])
def test_a_quantile_is_the_first_value_that_enough_values_do_not_exceed(
    share: float, found: int
) -> None:
    assert quantile(range(100, 0, -1), share) == found


def test_a_quantile_of_one_value_is_that_value() -> None:
    assert [quantile([7.0], share) for share in (0.0, 0.5, 0.99)] == [7.0] * 3


def test_the_rounds_count_by_their_median() -> None:
    rounds = [[0.001, 0.002, 0.003], [0.005, 0.005, 0.005], [0.9, 0.9, 0.9]]

    assert of_rounds(rounds, 0.5) == 0.005
    assert p50_p99(rounds) == "5.00 / 5.00"


def test_a_ratio_is_made_within_each_round() -> None:
    assert ratio([10, 100, 30], [20, 100, 20]) == 1.0


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.126, "0.13"), (12.34, "12.3"), (123.4, "123"), (44_816.2, "44,816"), (-0.5, "-0.50")],
)
def test_numbers_have_three_digits_or_all_before_the_point(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("aim", "cells"),
    [
        (Aim("a", 0.25, 0.5), ["a", "0.25 times", "at least 0.5", "50%"]),
        (Aim("b", 0.5, 0.5), ["b", "0.50 times", "at least 0.5", "yes"]),
        (Aim("c", 5, 10, "ms", at_most=True), ["c", "5.00 ms", "at most 10", "yes"]),
        (Aim("d", 40, 10, "ms", at_most=True), ["d", "40.0 ms", "at most 10", "25%"]),
    ],
)
def test_an_aim_is_reached_from_its_side(aim: Aim, cells: list[str]) -> None:
    assert aim.cells() == cells


def test_a_table_is_markdown() -> None:
    table = Table(("server", "tasks"), [["quart", "350"]], "For each CPU second.")

    assert table.markdown() == (
        "| server | tasks |\n| --- | ---: |\n| quart | 350 |\n\nFor each CPU second."
    )


def test_a_report_links_the_plots_that_stand_beside_it(tmp_path: Path) -> None:
    table = Table(("", "ms"), [["a", "1"]])
    parts = [
        Part("First", [table], [Aim("fast", 1, 2)], {"first_event.svg": bars("first", {"a": 1.0})}),
        Part("Second", [table], [Aim("small", 1, 2, "MiB", at_most=True)]),
    ]

    aims = write(tmp_path, ["- today", "- here"], parts)

    report = (tmp_path / "speed.md").read_text()
    assert [aim.figure for aim in aims] == ["fast", "small"]
    assert report.startswith(
        "# How fast Terzetto is\n\n- today\n- here\n\n## Figures with an aim\n"
    )
    assert (
        report.index("## First")
        < report.index("![first event](first_event.svg)")
        < report.index("## Second")
    )
    assert sorted(file.name for file in tmp_path.iterdir() if file.name in report) == [
        "aims.svg",
        "first_event.svg",
    ]


def test_bars_are_as_long_as_their_ratios_and_end_at_the_longest() -> None:
    drawn = ElementTree.fromstring(bars("a < b", {"half": 0.5, "one": 1.0, "many": 900.0}))

    _, half, one, many = drawn.iter(f"{SVG}rect")
    lengths = [float(bar.get("width", "")) for bar in (half, one, many)]
    assert lengths[1] == pytest.approx(2 * lengths[0], abs=0.2)
    assert lengths[2] == pytest.approx(6 * lengths[0], abs=0.6)
    assert [bar.get("fill") for bar in (half, one, many)] == [COLOURS[2], COLOURS[5], COLOURS[5]]
    (line,) = drawn.iter(f"{SVG}polyline")
    at = line.get("points", "").split(",")[0]
    assert float(at) == pytest.approx(float(one.get("x", "")) + lengths[1], abs=0.2)
    assert next(text.text for text in drawn.iter(f"{SVG}text")) == "a < b"


def test_lines_lie_on_a_logarithmic_scale() -> None:
    drawn = ElementTree.fromstring(lines("times", "ms", ["1", "50", "500"], {"p50": [1, 10, 100]}))

    curves = [one for one in drawn.iter(f"{SVG}polyline") if one.get("stroke") == COLOURS[0]]
    points = [tuple(map(float, point.split(","))) for point in curves[0].get("points", "").split()]
    (x1, y1), (x2, y2), (x3, y3) = points
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.2)
    assert y1 > y2 > y3
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
