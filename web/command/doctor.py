"""`terzetto doctor`: what is damaged in the data folder, and repairing it."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from actors.doctor.doctor import DATABASES, Report, examine
from actors.doctor.findings import Finding
from web.access import keys
from web.access.keys import Keys
from web.command.output import Exit
from web.data_folder import FolderHeld, FolderUnusable, hold
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
    unreadable = _unreadable_keys(folder)
    report.findings += unreadable
    if as_json:
        print(json.dumps({"folder": str(folder), **asdict(report)}, ensure_ascii=False))
    else:
        _print(report)
    repaired = report.set_aside and not unreadable
    return Exit.FAILED if report.findings and not repaired else Exit.OK


def _unreadable_keys(folder: Path) -> list[Finding]:
    """The file of the keys, if it is damaged. It cannot be repaired: only the hashes are kept."""
    try:
        Keys(folder)
    except FolderUnusable:
        problem = "it cannot be read; restore it, or delete it to end all keys"
        return [Finding(keys.FILE, "file", None, problem)]
    return []


def _print(report: Report) -> None:
    for one in report.findings:
        name = f"{one.file}: {one.what}" + (f" {one.id}" if one.id else "")
        print(printable(f"{name}: {one.problem}"))
    for aside in report.set_aside:
        say(f"What was damaged stays in {aside}; all the rest is in use again.")
    if not report.findings:
        say("Nothing is damaged.")
    elif any(one.file in DATABASES for one in report.findings) and not report.set_aside:
        say(
            f"Damaged: {len(report.findings)}. To set it aside, end the server and run: terzetto "
            "doctor --repair"
        )
