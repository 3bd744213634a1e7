"""The command line: `terzetto serve | run | ingest | search | doctor | eval | mcp | settings`.

Rule: each command imports what it needs when it runs, so that each starts fast. Until a command waits
for signals itself, Ctrl-C ends the process as the system does it, without a traceback.
"""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns its exit code (see `web.command.output`).

    Without arguments this is the process of the command, and its signals and streams are set up.
    """
    if arguments is None:
        from web.command.process import begin_process

        begin_process()
    given = sys.argv[1:] if arguments is None else arguments
    from web.command.output import exit_code_of

    return exit_code_of(lambda: _run(given))


def _run(given: list[str]) -> int:
    if given == ["--version"]:  # Needs no parser.
        from importlib.metadata import version

        print(version("terzetto"))
        return 0
    from web.command.arguments import run_command

    return run_command(given)
