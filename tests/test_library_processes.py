"""The processes that parse documents: killed by the clock, by a cancellation, and at the end."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from actors.errors import Overloaded, UnreadableDocument, UnsupportedMediaType
from actors.library.library import open_library
from actors.library.parsing.frames import Job, frame
from actors.library.parsing.process import CHILD, open_parser

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
JOB = Job(b"# Title\n\n## Part\n\nSome text.", "text/markdown", file_name="a.md")

ONCE = """
import os, sys
from pathlib import Path
mark = Path(sys.argv[1])
if mark.exists():
    from actors.library.parsing.child import main
    main()
else:
    mark.touch()
    {first}
"""
HANG = "sys.stdin.read()"
CRASH = "os._exit(1)"


def child(tmp_path: Path, first: str) -> list[str]:
    """A command that goes wrong the first time."""
    return [sys.executable, "-c", ONCE.format(first=first), str(tmp_path / "mark")]


async def test_a_document_is_parsed_in_a_process() -> None:
    async with open_parser() as parser:
        parsed = await parser.parse(JOB)

    assert parsed.title == "Title"
    assert parsed.text == "Part\n\nSome text."
    assert [(cut.section, cut.position, cut.text) for cut in parsed.passages] == [
        ("Part", 1, "Some text.")
    ]


async def test_a_large_document_comes_back_whole() -> None:
    body = "".join(f"Sentence {n} of a long document.\n\n" for n in range(50_000)).encode()

    async with open_parser() as parser:
        parsed = await parser.parse(Job(body, "text/plain"))

    assert parsed.text.encode() + b"\n\n" == body
    assert [cut.position for cut in parsed.passages] == list(range(1, len(parsed.passages) + 1))


async def test_what_was_read_takes_little_memory_however_short_the_blocks_are() -> None:
    headings = "".join(f"{'#' * level} {'word ' * 60}\n\n" for level in range(1, 7))
    body = headings.encode() + b"- x\n" * 5_000
    async with open_parser() as parser, open_library(None, now=lambda: NOON) as library:
        await library.add(b"# Warm\n\nup", media_type="text/markdown")
        tracemalloc.start()
        try:
            parsed = await parser.parse(Job(body, "text/markdown"))
            read = tracemalloc.get_traced_memory()[0]
            await library.add(body, media_type="text/markdown")
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert len(parsed.excerpts) > 4_000
    assert read < 1024 * 1024
    assert most < 16 * 1024 * 1024


async def test_a_refusal_keeps_its_class_and_the_child_goes_on() -> None:
    async with open_parser() as parser:
        with pytest.raises(UnreadableDocument, match="empty"):
            await parser.parse(Job(b"", "text/plain"))
        with pytest.raises(UnsupportedMediaType):
            await parser.parse(Job(b"x", "image/png"))
        assert (await parser.parse(JOB)).title == "Title"


async def test_many_at_once_are_all_answered() -> None:
    titles: list[str] = []

    async def one(number: int) -> None:
        job = Job(b"Text.", "text/plain", title=f"Number {number}")
        titles.append((await parser.parse(job)).title)

    async with open_parser() as parser, trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(one, number)

    assert sorted(titles) == sorted(f"Number {number}" for number in range(12))


async def test_a_child_that_takes_too_long_is_replaced(tmp_path: Path) -> None:
    async with open_parser(3, child(tmp_path, HANG)) as parser:
        with pytest.raises(UnreadableDocument, match="took longer than 3 s"):
            await parser.parse(JOB)

        assert (await parser.parse(JOB)).title == "Title"


async def test_a_child_that_crashes_is_replaced(tmp_path: Path) -> None:
    async with open_parser(command=child(tmp_path, CRASH)) as parser:
        with pytest.raises(UnreadableDocument, match="failed"):
            await parser.parse(JOB)

        assert (await parser.parse(JOB)).title == "Title"


async def test_no_room_for_a_process_is_no_fault_of_the_document() -> None:
    async with open_parser(command=["/no/such/program"]) as parser:
        with pytest.raises(Overloaded):
            await parser.parse(JOB)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
async def test_a_cancelled_asker_leaves_no_process(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    tell = f"Path({str(pipe)!r}).write_text(str(os.getpid())); {HANG}"

    async with open_parser(command=child(tmp_path, tell)) as parser:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(parser.parse, JOB)
            pid = int(await trio.to_thread.run_sync(pipe.read_text))
            nursery.cancel_scope.cancel()

        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def reply(process: subprocess.Popen[bytes]) -> bytes:
    """All frames that answer one document."""
    assert process.stdout is not None
    answer = b""
    while b'"end"' not in answer:
        (length,) = struct.unpack(">I", process.stdout.read(4))
        answer += process.stdout.read(length)
    return answer


def ask(process: subprocess.Popen[bytes], text: bytes) -> bytes:
    assert process.stdin is not None
    process.stdin.write(frame(b'{"media_type": "text/plain"}') + frame(text))
    process.stdin.flush()
    return reply(process)


def test_a_child_ignores_ctrl_c_and_ends_with_its_input() -> None:
    with subprocess.Popen(CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert b"one" in ask(process, b"one")
        process.send_signal(signal.SIGINT)
        assert b"two" in ask(process, b"two")
        assert process.stdin is not None
        process.stdin.close()

        assert process.wait(10) == 0


async def test_the_library_parses_in_processes_by_default(tmp_path: Path) -> None:
    async with open_library(tmp_path, now=lambda: datetime.now(UTC)) as library:
        added = await library.add(b"<h1>Zebra</h1><p>It has stripes.</p>", file_name="z.html")

        assert added.document.title == "Zebra"
        assert (await library.search("stripes", limit=1)).passages
