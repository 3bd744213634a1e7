"""Admission of a burst: thousands of clients connect, create and execute at the same moment."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from processes import serving

from .figures import Aim, Effort, Part, Table, number, p50_p99, quantile, ratio
from .throughput import load, load_share, measured

SERVERS = ("terzetto", "fastapi")


def one_round(name: str, clients: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, serving(name, Path(folder)) as server:
        load(server.url, 50, 10)  # Warm up.
        return measured(server, clients, clients)


def measure(effort: Effort) -> Part:
    clients = effort.of(5_000, 500)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in SERVERS}
    for _ in range(effort.rounds):
        for name, rounds in found.items():
            rounds.append(one_round(name, clients))
    p99 = {name: [quantile(one["heads_s"], 0.99) for one in found[name]] for name in SERVERS}
    rows = []
    for name, rounds in found.items():
        heads = p50_p99([one["heads_s"] for one in rounds])
        whole = number(median(one["wall_s"] for one in rounds))
        beside = f"{ratio(p99['terzetto'], p99[name]):.2f}"
        rows.append([name, refusals(rounds), heads, beside, whole, load_share(rounds)])
    head = ("server", "refused", "head of the answer, ms", "Terzetto / it, p99", "all ended, s")
    note = (
        f"{clients:,} clients. The times are p50 / p99 from connecting to the head of the answer to "
        "execute. Of the load generator: its share of a core, and in brackets its CPU time beside "
        "the server's. Refused: the statuses, in all rounds."
    )
    answered = clients - max(len(one["refused"]) for one in found["terzetto"])
    aim = Aim(f"answered of a burst of {clients:,}", answered, clients, "tasks")
    return Part("A burst of clients", [Table((*head, "load generator"), rows, note)], [aim])


def refusals(rounds: Sequence[dict[str, Any]]) -> str:
    counts = Counter(status for one in rounds for status in one["refused"])
    return ", ".join(f"{count} × {status}" for status, count in counts.items()) or "none"
