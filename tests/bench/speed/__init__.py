"""How fast Terzetto is beside what people would write, all measured in turn in one run.

    pip install fastapi 'uvicorn[standard]' aiosqlite
    python -m tests.bench.speed --out FOLDER [--rounds 5] [--only NAME ...] [--quick]

Each part measures one subject and yields tables, figures with an aim, and plots. Where a ratio is made,
a round measures each side in turn, so that a busy machine is unfair to all alike, and the median of the
rounds counts. CPU times are those of the server alone, over all its threads. FOLDER gets `speed.md` and
the plots. A run takes a quarter of an hour on a machine that does nothing else; `--quick`, with figures
that tell little, a minute or two. Everything talks to 127.0.0.1 only.
"""

from __future__ import annotations

import sys
from pathlib import Path

# The other benchmarks and the tests import one another by their bare names.
sys.path += [str(Path(__file__).resolve().parents[n]) for n in (1, 2)]
