"""The command line: `terzetto serve | run | ingest | search | doctor | eval | mcp | settings`.

Rule: each command imports what it needs when it runs, so that each starts fast.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code (see `web.command.output`)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:  # Needs no parser.
        from importlib.metadata import version

        print(version("terzetto"))
        return 0
    from web.command.arguments import run_command

    return run_command(given)
