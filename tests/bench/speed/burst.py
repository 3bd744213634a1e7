"""Admission of a burst: thousands of clients connect, create and execute at the same moment."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from processes import serving

from .figures import Aim, Effort, Part, Table, number, of_rounds, p50_p99, ratio, quantile
from .throughput import load

SERVERS = ("terzetto", "fastapi")


def one_round(name: str, clients: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, serving(name, Path(folder)) as server:
        load(server.url, 50, 10)  # Warm up.
        return load(server.url, clients, clients)


def measure(effort: Effort) -> Part:
    clients = effort.of(5_000, 500)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in SERVERS}
    for _ in range(effort.rounds):
        for name, rounds in found.items():
            rounds.append(one_round(name, clients))
    p99 = {name: [quantile(one["heads_s"], 0.99) for one in found[name]] for name in SERVERS}
    rows = []
    for name, rounds in found.items():
        refused = max(one["refused"] for one in rounds)
        share = median(one["cpu_s"] / one["wall_s"] for one in rounds)
        heads = p50_p99([one["heads_s"] for one in rounds])
        whole = number(median(one["wall_s"] for one in rounds))
        beside = f"{ratio(p99['terzetto'], p99[name]):.2f}"
        rows.append([name, str(refused), heads, beside, whole, f"{share:.0%}"])
    head = ("server", "refused (429, 503)", "head of the answer, ms", "Terzetto / it, p99")
    note = f"{clients:,} clients; p50 / p99 from connecting to the head of the answer to execute."
    table = Table((*head, "all ended, s", "load's share of a core"), rows, note)
    answered = clients - max(one["refused"] for one in found["terzetto"])
    aim = Aim(f"answered of a burst of {clients:,}", answered, clients, "tasks")
    return Part("A burst of clients", [table], [aim])
