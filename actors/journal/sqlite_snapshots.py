"""Snapshots in SQLite, and the rows of the log before them, which are joined.

An agent that is slow leaves one row for each event. The same events in rows of some kilobytes are read
and deleted several times as fast (`tests/bench/long_logs.py`).

Rule: this only makes reading faster. The lines stay what they are, byte for byte, and rows among which
one is damaged or missing are left alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from itertools import pairwise
from zlib import crc32

from actors.journal.log import Append
from actors.sqlite_errors import DamagedRecord, Meaning, meaning_of

ROW_BYTES = 16 * 1024
"""The most bytes of joined lines in a row: about what one commit of a fast agent has."""

MOST_BYTES = 1024 * 1024
"""About the most bytes that are joined at once, the newest ones; a log from an older release has more."""

Row = tuple[int, int, bytes, int | None]
"""The first seq, the last seq, the lines, and their CRC-32."""


def keep_snapshots(writer: sqlite3.Connection, appends: Iterable[Append]) -> None:
    """Replace the snapshots of these tasks; raises `DamagedRecord` if the file is damaged there."""
    try:
        for append in appends:
            if append.snapshot:
                _keep(writer, append.task.task_id, append.task.last_seq, append.snapshot)
    except sqlite3.DatabaseError as error:
        if meaning_of(error.sqlite_errorcode) is not Meaning.DAMAGED:
            raise
        raise DamagedRecord(f"Snapshots could not be kept: {error}.") from error


def _keep(writer: sqlite3.Connection, task_id: str, seq: int, snapshot: bytes) -> None:
    found = writer.execute(
        "SELECT mark, coalesce(seq, 0) FROM tasks LEFT JOIN snapshots USING (mark) WHERE task_id = ?",
        (task_id,),
    ).fetchall()
    for mark, since in found:
        join_rows(writer, mark, since)
        writer.execute(
            "INSERT OR REPLACE INTO snapshots (mark, seq, body, crc) VALUES (?, ?, ?, ?)",
            (mark, seq, snapshot, crc32(snapshot)),
        )


def join_rows(writer: sqlite3.Connection, mark: int, since: int) -> None:
    """Join the rows of a task after seq `since`."""
    try:
        rows = _newest_rows(writer, mark, since)
        if not _are_whole(rows):
            return
    except TypeError:  # Damage can give a value another type.
        return
    joined = _joined(rows)
    if 2 * len(joined) >= len(rows):
        return
    writer.execute("DELETE FROM log WHERE mark = ? AND last_seq >= ?", (mark, rows[0][1]))
    values = [value for row in joined for value in (mark, *row)]
    places = ", ".join(["(?, ?, ?, ?, ?)"] * len(joined))
    writer.execute(
        f"INSERT INTO log (mark, first_seq, last_seq, lines, crc) VALUES {places}", values
    )


def _newest_rows(writer: sqlite3.Connection, mark: int, since: int) -> list[Row]:
    rows: list[Row] = []
    size = 0
    found = writer.execute(
        "SELECT first_seq, last_seq, lines, crc FROM log WHERE mark = ? AND last_seq > ?"
        " ORDER BY last_seq DESC",
        (mark, since),
    )
    with closing(found):
        for row in found:
            rows.append(row)
            size += len(row[2])
            if size >= MOST_BYTES:
                break
    return rows[::-1]


def _are_whole(rows: list[Row]) -> bool:
    intact = all(crc == crc32(lines) for _, _, lines, crc in rows)
    return intact and all(before[1] + 1 == row[0] for before, row in pairwise(rows))


def _joined(rows: list[Row]) -> list[Row]:
    groups: list[list[Row]] = []
    size = 0
    for row in rows:
        size += len(row[2])
        if not groups or size > ROW_BYTES:
            groups.append([])
            size = len(row[2])
        groups[-1].append(row)
    joined = [(group[0][0], group[-1][1], b"".join(row[2] for row in group)) for group in groups]
    return [(first, last, lines, crc32(lines)) for first, last, lines in joined]
