"""`terzetto doctor`: what is damaged in the data folder, and repairing it."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from actors.doctor.doctor import Report, examine
from web.command.output import Exit
from web.data_folder import FolderHeld, hold
from web.terminal import printable, say


async def examine_folder(folder: Path, *, repair: bool, as_json: bool) -> int:
    """Print what is damaged; the exit code is `FAILED` if anything is, unless it was repaired."""
    with ExitStack() as held:
        if repair:
            try:
                held.enter_context(hold(folder))
            except FolderHeld:
                raise FolderHeld(
                    f"{folder} is in use; end the server or command that uses it to repair it."
                ) from None
        report = await examine(folder, repair=repair)
    if as_json:
        print(json.dumps({"folder": str(folder), **asdict(report)}, ensure_ascii=False))
    else:
        _print(report)
    return Exit.FAILED if report.findings and not report.set_aside else Exit.OK


def _print(report: Report) -> None:
    for one in report.findings:
        name = f"{one.file}: {one.what}" + (f" {one.id}" if one.id else "")
        print(printable(f"{name}: {one.problem}"))
    for aside in report.set_aside:
        say(f"What was damaged stays in {aside}; all the rest is in use again.")
    if not report.findings:
        say("Nothing is damaged.")
    elif not report.set_aside:
        say(
            f"Damaged: {len(report.findings)}. To set it aside, end the server and run: terzetto "
            "doctor --repair"
        )
