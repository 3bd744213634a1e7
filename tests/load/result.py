"""What one scenario of the load test measured, and how it is printed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

QUANTILES = {"p50": 0.5, "p99": 0.99, "worst": 1.0}


@dataclass
class Result:
    """The measurements of one scenario; times in seconds."""

    name: str
    started: float = 0.0
    client_s: list[float] = field(default_factory=list)
    server_s: list[float] = field(default_factory=list)
    all_s: float = 0.0
    ended_s: float = 0.0
    unfinished: int = 0
    speed: float = 0.0
    marks: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


def report(result: Result) -> str:
    """A scenario in a few lines."""
    lines = [f"{result.name} (the processor made {result.speed:.0f} million additions a second):"]
    for who, took in (("client", result.client_s), ("server", result.server_s)):
        if took:
            lines.append(f"  one cancel, seen by the {who}: {_quantiles(took)}")
    if result.all_s:
        lines.append(f"  all of them: {_ms(result.all_s)}")
    if result.unfinished:
        lines.append(f"  answered with cancel_unfinished: {result.unfinished}")
    if result.ended_s:
        lines.append(f"  until the last stream had ended: {_ms(result.ended_s)}")
    if m := result.marks:
        lines.append(
            f"  worst stall {_ms(m['stall_s'])}, on the processor {_ms(m['stall_cpu_s'])};"
            f" busy {m['cpu_s']:.2f} s of {m['wall_s']:.2f} s"
        )
        for name, (count, took, worst) in sorted(
            m.get("worst_steps", {}).items(), key=lambda pair: -pair[1][1]
        )[:8]:
            lines.append(f"    {count} steps of {name}: {_ms(took)}, the worst {_ms(worst)}")
        collections = zip(m["collections"], m["collections_s"], strict=True)
        each = ", ".join(f"{count} (worst {_ms(worst)})" for count, worst in collections)
        lines.append(f"  garbage collections, young to old: {each}")
        took = sorted(seconds for seconds, _ in m["commits"])
        appends = sum(count for _, count in m["commits"])
        if took:
            lines.append(f"  {appends} appends in {len(took)} commits: {_quantiles(took)}")
    if result.after:
        pairs = ((name, result.before[name], result.after[name]) for name in ("tasks", "objects"))
        counts = ", ".join(f"{name} {before} -> {after}" for name, before, after in pairs)
        rss = f"{result.before['rss_mib']:.0f} -> {result.after['rss_mib']:.0f} MiB"
        lines.append(f"  before and after: {counts}, memory {rss}")
    return "\n".join(lines)


def _quantiles(took: list[float]) -> str:
    took = sorted(took)
    at = {name: took[min(len(took) - 1, int(len(took) * q))] for name, q in QUANTILES.items()}
    return ", ".join(f"{name} {_ms(s)}" for name, s in at.items()) + f" ({len(took)})"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


def additions_per_us() -> float:
    """Millions of additions per second of processor time: a virtual machine varies in speed."""
    since, number = time.thread_time(), 0
    for step in range(500_000):
        number += step
    return 0.5 / (time.thread_time() - since)
