"""The command line of the suite; see the top of the package."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from . import (
    burst,
    cancels,
    commands,
    growth,
    in_process,
    layers,
    machine,
    pipeline,
    streams,
    throughput,
)
from .figures import Aim, Effort, Part, aims_table, write

PARTS: dict[str, Callable[[Effort], Part]] = {
    "tasks": throughput.measure,
    "layers": layers.measure,
    "memory": streams.measure,
    "burst": burst.measure,
    "commits": in_process.measure_commits,
    "asks": in_process.measure_asks,
    "pipeline": pipeline.measure,
    "cancels": cancels.measure,
    "many-tasks": growth.measure_tasks,
    "replays": growth.measure_replays,
    "commands": commands.measure,
}
QUICK_ROUNDS = 1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.speed")
    parser.add_argument("--out", type=Path, required=True, help="folder for speed.md and the plots")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    asked = parser.parse_args()
    effort = Effort(QUICK_ROUNDS if asked.quick else asked.rounds, asked.quick)
    asked.out.mkdir(parents=True, exist_ok=True)
    head, parts, aims = list(machine.described(effort.rounds)), [], list[Aim]()
    failed: list[str] = []
    print(*head, sep="\n", flush=True)
    for name in asked.only:
        began = time.monotonic()
        try:
            parts.append(PARTS[name](effort))
        except Exception:  # noqa: BLE001 - the other parts are worth having without it.
            traceback.print_exc()
            failed.append(name)
            continue
        aims = write(asked.out, head, parts)
        took = time.monotonic() - began
        print(f"\n{parts[-1].markdown()}\n\n({name} took {took:.0f} s)", flush=True)
    print(f"\n{aims_table(aims).markdown()}")
    if failed:
        sys.exit(f"These parts have failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
