"""Examine a data folder, and repair it: what is damaged is set aside with the old file."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from actors.doctor import library, log
from actors.doctor.findings import Finding, copied, structure
from actors.errors import InvalidRequest
from actors.journal.sqlite import SCHEMA as LOG
from actors.library.schema import FILE_NAME
from actors.library.schema import SCHEMA as LIBRARY
from actors.sqlite import Schema, prepare
from actors.sqlite_errors import explained

Examine = Callable[[sqlite3.Connection], Iterator[Finding]]

DATABASES: dict[str, tuple[Schema, Examine]] = {
    log.FILE: (LOG, log.examine),
    FILE_NAME: (LIBRARY, library.examine),
}


@dataclass(slots=True)
class Report:
    """What was found, and the files that a repair set aside."""

    findings: list[Finding] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)


async def examine(folder: Path, *, repair: bool = False) -> Report:
    """Examine both databases. To repair, the caller must hold the folder.

    Raises `StorageUnavailable` for a file that cannot be opened, or is not of this release.
    """
    report = Report()
    files = [folder / name for name in DATABASES if (folder / name).exists()]
    if not files:
        raise InvalidRequest(f"There is no Terzetto data in {folder}.")
    for file in files:
        with tempfile.TemporaryDirectory(prefix="terzetto-") as place:
            copy = Path(place) / file.name
            with _opened(file, copy) as db:
                found = list(_examined(db, file.name))
                report.findings += found
                if found and repair:
                    report.set_aside.append(await _repair(db, file, copy))
    return report


@contextmanager
def _opened(file: Path, copy: Path) -> Iterator[sqlite3.Connection]:
    schema, _ = DATABASES[file.name]
    with explained(file, schema.noun, opening=True):
        db = copied(file, copy)
    try:
        with explained(file, schema.noun, opening=True):
            prepare(db, copy, schema, name=file)
        yield db
    finally:
        db.close()


def _examined(db: sqlite3.Connection, name: str) -> Iterator[Finding]:
    schema, examine_rows = DATABASES[name]
    yield from structure(db, name, schema)
    try:
        yield from examine_rows(db)
    except sqlite3.DatabaseError as error:
        yield Finding(name, "file", None, f"its rows cannot be counted: {error}")


async def _repair(db: sqlite3.Connection, file: Path, copy: Path) -> str:
    """Put a new database with all that is whole in the place of the file; the name of the old one."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    if file.name == log.FILE:
        await log.repair(db, new)
    else:
        library.repair(db, copy, new)
    number = 1
    while (aside := file.with_name(f"{file.name}.damaged-{number}")).exists():
        number += 1
    file.with_name(f"{file.name}-shm").unlink(missing_ok=True)
    for end in ("-wal", ""):
        if (old := file.with_name(file.name + end)).exists():
            old.rename(aside.with_name(aside.name + end))
    new.rename(file)
    return aside.name
