"""What the figures were measured on: the machine, its disk, and the versions of all that takes part."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

PACKAGES = ("trio", "quart", "quart-trio", "hypercorn", "fastapi", "uvicorn", "uvloop", "httptools")


def fsync_ms() -> float:
    """The median milliseconds of an fsync of 4 KiB where temporary folders are."""
    times = []
    with tempfile.TemporaryFile() as file:
        for _ in range(200):
            begin = time.perf_counter()
            file.write(b"x" * 4_096)
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - begin)
    return median(times) * 1_000


def described(rounds: int) -> Iterator[str]:
    """The first lines of the report."""
    yield f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, medians of {rounds} rounds"
    load = ", ".join(f"{of:.1f}" for of in os.getloadavg())
    yield f"- {_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    yield f"- load average before the run {load}; an fsync of 4 KiB takes {fsync_ms():.2f} ms"
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield f"- Python {platform.python_version()}, {versions}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
