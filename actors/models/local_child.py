"""The child process that runs the local model: `python -m actors.models.local_child`.

It is told a model file and a key in one line of JSON, and answers with the address it listens at.

Rule: it holds nothing that matters. It may be killed at any moment, and ends when its input does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

SLOTS = 2
TOKENS_PER_SLOT = 4_096
_CACHE_MIB = 128
_SEED = 1
"""The same question gets the same answer, as long as it is asked alone."""

_NICENESS = 5
"""It takes half of the cores and all of their time; the service that streams its text comes first."""


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to decide about.
    told = os.dup(1)
    os.dup2(2, 1)  # The library prints.
    job = json.loads(sys.stdin.readline())
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    server = _server(job["model"], job["key"])
    os.write(told, f"{server.listening_address}\n".encode())
    sys.stdin.read()
    os._exit(0)  # Not waiting for what is being written: nobody reads it.


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
    params.sampling.temp = 0.3  # With less, so small a model repeats itself for ever.
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
