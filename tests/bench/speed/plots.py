"""Plots as SVG, written by hand: bars beside a line at 1, and lines over a logarithmic scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import log10

WIDTH = 860
BAR, GAP, LABELS = 16, 8, 400
COLOURS = ("#1b6ca8", "#7fb3d5", "#c0392b", "#e59866", "#6c7a89", "#2e8b57")
LONGEST = 3.0
"""Where a bar ends whose ratio is larger; the number beside it tells the whole."""


def bars(title: str, ratios: Mapping[str, float]) -> str:
    """A bar for each ratio; green from 1 on, where the line is."""
    scale = (WIDTH - LABELS - 60) / LONGEST
    height = 50 + len(ratios) * (BAR + GAP)
    shapes = [_text(10, 20, title, bold=True)]
    for row, (name, ratio) in enumerate(ratios.items()):
        y = 36 + row * (BAR + GAP)
        colour = COLOURS[5] if ratio >= 1 else COLOURS[2]
        length = min(ratio, LONGEST) * scale
        shapes.append(_text(LABELS - 8, y + 12, name, anchor="end"))
        shapes.append(
            f'<rect x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>'
        )
        shapes.append(_text(LABELS + length + 6, y + 12, f"{ratio:.2f}"))
    x = LABELS + scale
    shapes.append(_line([(x, 30), (x, height - 12)], "#000000", dashed=True))
    return _svg(height, shapes)


def lines(
    title: str, unit: str, steps: Sequence[str], curves: Mapping[str, Sequence[float]]
) -> str:
    """A curve for each name over the steps, the values on a logarithmic scale.

    Each two curves share a colour, and the second of them is dashed.
    """
    height, left, top, bottom = 420, 70, 40, 380
    values = [max(value, 1e-6) for curve in curves.values() for value in curve]
    low, high = _decades(values)

    def y_of(value: float) -> float:
        return bottom - (log10(max(value, 1e-6)) - low) / (high - low) * (bottom - top)

    across = [left + 60 + n * 420 / max(1, len(steps) - 1) for n in range(len(steps))]
    shapes = [_text(10, 20, f"{title} ({unit}, logarithmic)", bold=True)]
    for decade in range(low, high + 1):
        y = y_of(10.0**decade)
        shapes.append(_line([(left, y), (WIDTH - 260, y)], "#dddddd"))
        shapes.append(_text(left - 8, y + 4, f"{10.0**decade:g}", anchor="end"))
    shapes += [
        _text(x, bottom + 20, step, anchor="middle") for x, step in zip(across, steps, strict=True)
    ]
    for n, (name, curve) in enumerate(curves.items()):
        colour, dashed = COLOURS[n // 2 % len(COLOURS)], n % 2 == 1
        points = [(x, y_of(value)) for x, value in zip(across, curve, strict=True)]
        legend = top + 10 + n * 20
        shapes.append(_line(points, colour, dashed=dashed))
        shapes.append(_line([(WIDTH - 240, legend), (WIDTH - 210, legend)], colour, dashed=dashed))
        shapes.append(_text(WIDTH - 202, legend + 4, name))
    return _svg(height, shapes)


def _decades(values: Iterable[float]) -> tuple[int, int]:
    """The powers of ten around all values."""
    logs = [log10(value) for value in values]
    low = int(min(logs) // 1)
    return low, max(low + 1, int(-(-max(logs) // 1)))


def _line(points: Sequence[tuple[float, float]], colour: str, *, dashed: bool = False) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'


def _svg(height: float, shapes: Iterable[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}"'
    style = 'font-family="sans-serif" font-size="13"'
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return "\n".join(
        [f'{head} width="{WIDTH}" height="{height:g}" {style}>', ground, *shapes, "</svg>\n"]
    )
