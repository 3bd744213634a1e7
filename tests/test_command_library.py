"""`terzetto ingest` and `terzetto search`."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from command_fakes import FakeService, answer_with, opened

from actors.errors import ActorError, Draining, UnreadableDocument
from actors.fetching.fetcher import Fetcher, FetchLimits
from actors.tasks.words import telling_terms
from web.command import main
from web.command.document_files import find_documents
from web.command.ingest import ingest_found
from web.command.ingest_result import FileOrUrl, IngestResult
from web.command.search import snippet
from web.service import Outcome

Text = pytest.CaptureFixture[str]
MIB = 1_048_576


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Flags that give a command an empty data folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return ["--data", str(tmp_path / "data")]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with three notes of different content, the last in a folder below it."""
    folder = tmp_path / "notes"
    (folder / "below").mkdir(parents=True)
    for name in ("b.txt", "a.md", "below/c.html"):
        (folder / name).write_text(f"Note {name}")
    return folder


def test_ingest_adds_new_files_and_skips_known_ones(
    data: list[str], notes: Path, monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    service = answer_with(monkeypatch, FakeService())

    assert main(["ingest", str(notes), *data]) == 0
    assert capsys.readouterr().out == "added 3, unchanged 0, could not read 0\n"

    (notes / "new.md").write_text("New")
    assert main(["ingest", str(notes), *data]) == 0
    assert capsys.readouterr().out == "added 1, unchanged 3, could not read 0\n"
    assert len(service.library) == 4


def test_unreadable_files_are_listed_with_the_reason(
    data: list[str], notes: Path, monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    service = answer_with(monkeypatch, FakeService())
    no_text = UnreadableDocument("No text was found.")
    service.on_add = lambda path: no_text if path.name == "a.md" else None

    assert main(["ingest", str(notes), *data]) == 0

    out, err = capsys.readouterr()
    assert out == "added 2, unchanged 0, could not read 1\n"
    assert "a.md" in err and "No text was found." in err


def test_nothing_readable_is_a_failure(
    data: list[str], notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = answer_with(monkeypatch, FakeService())
    service.on_add = lambda path: UnreadableDocument("No text was found.")

    assert main(["ingest", str(notes), *data]) == 1


@pytest.mark.parametrize("names", [("x.png",), ("x.png", "Makefile")])
def test_a_folder_of_files_that_are_not_read_is_a_failure(
    data: list[str],
    tmp_path: Path,
    names: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Text,
) -> None:
    answer_with(monkeypatch, FakeService())
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in names:
        (folder / name).touch()

    assert main(["ingest", str(folder), *data]) == 1

    out, err = capsys.readouterr()
    assert out.startswith("added 0,") and "Skipped files of other types: 1 " in err


def test_what_is_left_out_is_said(
    data: list[str], notes: Path, monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    answer_with(monkeypatch, FakeService())
    (notes / "node_modules").mkdir()
    (notes / ".gitignore").write_text("b.txt\n")

    assert main(["ingest", str(notes), *data]) == 0

    out, err = capsys.readouterr()
    assert out == "added 2, unchanged 0, could not read 0\n"
    assert "Left out: 1 ignored by .gitignore, 1 node_modules folder." in err


def test_documents_to_send_again_are_counted(
    data: list[str], notes: Path, monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    answer_with(monkeypatch, FakeService()).outdated = 1_234

    assert main(["ingest", str(notes), *data]) == 0

    assert "1,234 documents of the library were read by an older version" in capsys.readouterr().err


def test_an_empty_folder_is_no_failure(
    data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, FakeService())
    (tmp_path / "empty").mkdir()

    assert main(["ingest", str(tmp_path / "empty"), *data]) == 0


def test_a_missing_path_is_named_and_the_others_are_read(
    data: list[str], notes: Path, monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    answer_with(monkeypatch, FakeService())

    assert main(["ingest", str(notes / "nowhere"), str(notes), *data]) == 1

    out, err = capsys.readouterr()
    assert out == "added 3, unchanged 0, could not read 1\n"
    assert "nowhere" in err and "No such file or directory" in err


def test_what_the_parser_left_out_is_said(tmp_path: Path, capsys: Text) -> None:
    letter = (
        "Subject: Plan\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n"
        "--cut\r\nContent-Type: text/plain\r\n\r\nThe plan is attached.\r\n"
        "--cut\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=p.png\r\n\r\n"
        "abc\r\n--cut--\r\n"
    )
    (tmp_path / "letter.eml").write_text(letter)
    into = ["--data", str(tmp_path / "data")]

    assert main(["ingest", str(tmp_path / "letter.eml"), *into]) == 0
    said = capsys.readouterr().err
    assert main(["ingest", str(tmp_path / "letter.eml"), *into]) == 0

    assert "letter.eml: 1 attachment was left out." in said
    assert "attachment" not in capsys.readouterr().err  # It was said when it was read.


def test_a_server_error_ends_ingest_after_the_summary(
    data: list[str], notes: Path, monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    service = answer_with(monkeypatch, FakeService())
    service.on_add = lambda path: Draining("It stops.") if path.name == "c.html" else None

    assert main(["ingest", str(notes), *data]) == 75

    out, err = capsys.readouterr()
    assert out.startswith("added 2,") and "It stops. [draining]" in err


def test_a_signal_stops_ingest_and_added_documents_stay(
    data: list[str], notes: Path, monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    service = answer_with(monkeypatch, FakeService())
    for number in range(50):
        (notes / f"n{number:02}.md").write_text(str(number))

    def interrupt_at_ten(path: Path) -> ActorError | None:
        if len(service.calls) == 10:
            signal.raise_signal(signal.SIGINT)
        return None

    service.on_add = interrupt_at_ten

    assert main(["ingest", str(notes), *data]) == 130

    out, _ = capsys.readouterr()
    added = len(service.library)
    assert 10 <= added < 50
    assert out.startswith(f"Stopped. The added documents stay: added {added},")


async def test_two_files_at_a_time(notes: Path) -> None:
    busy, most = set[str](), 0

    class Counting(FakeService):
        async def add(self, path: Path) -> tuple[dict[str, Any], Outcome]:
            nonlocal most
            busy.add(path.name)
            most = max(most, len(busy))
            try:
                return await super().add(path)
            finally:
                busy.discard(path.name)

    def show(source: FileOrUrl, result: IngestResult) -> None:
        """Progress is not shown."""

    service, result = Counting(), IngestResult()
    found = find_documents([notes], MIB)
    fetcher = Fetcher(FetchLimits())
    await ingest_found(lambda: opened(service), fetcher, found, result, show)

    assert (most, result.added) == (2, 3)


def test_a_log_gets_about_twenty_lines(
    data: list[str], notes: Path, monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    answer_with(monkeypatch, FakeService())
    for number in range(97):
        (notes / f"n{number}.md").write_text(str(number))

    main(["ingest", str(notes), *data])

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 20 and lines[-1] == "100 of 100 files"


PASSAGE = {
    "document_id": "d",
    "title": "On threads",
    "section": "Costs",
    "position": 3,
    "text": "Each thread costs memory for its stack. Caching does not help.",
    "score": 1.5,
}


def test_search_prints_ranked_passages(
    data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    service = answer_with(monkeypatch, FakeService())
    service.results = [PASSAGE, PASSAGE | {"section": "", "score": 0.25}]

    assert main(["search", "thread costs", "--limit", "2", *data]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1. On threads › Costs  passage 3, score 1.5"
    assert lines[1].startswith("Each thread costs memory")
    assert lines[3] == "2. On threads  passage 3, score 0.25"
    assert service.calls == [("search", "thread costs", 2)]


def test_search_prints_json(data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text) -> None:
    answer_with(monkeypatch, FakeService()).results = [PASSAGE]

    assert main(["search", "x", "--json", *data]) == 0

    assert json.loads(capsys.readouterr().out) == {"results": [PASSAGE]}


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_no_control_character_of_a_passage_is_printed(
    flags: list[str], data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    odd = "\x1b[31mThreads\x9b2J\x07\u202e\x7f"
    passage = PASSAGE | {"text": odd, "title": odd, "section": odd}
    answer_with(monkeypatch, FakeService()).results = [passage]

    assert main(["search", "threads", *flags, *data]) == 0

    out, err = capsys.readouterr()
    assert "Threads" in out
    assert not [c for c in out + err if c != "\n" and (not c.isprintable() or c == "\u202e")]
    if flags:
        assert json.loads(out) == {"results": [passage]}


def test_in_a_pipe_no_line_is_broken(
    data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    answer_with(monkeypatch, FakeService()).results = [PASSAGE | {"text": "Threads cost. " * 20}]

    assert main(["search", "threads", *data]) == 0

    _, passage, _ = capsys.readouterr().out.splitlines()
    assert len(passage) > 200


def test_a_search_without_results_says_so(
    data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    answer_with(monkeypatch, FakeService())

    assert main(["search", "x", *data]) == 0

    assert "Nothing" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "101", "x"])
def test_a_limit_out_of_range_is_bad_usage(data: list[str], limit: str, capsys: Text) -> None:
    assert main(["search", "x", "--limit", limit, *data]) == 2


def marked(text: str, query: str) -> list[str]:
    shown = snippet(text, frozenset(telling_terms(query)))
    return [shown.plain[span.start : span.end] for span in shown.spans]


def test_matches_are_highlighted_in_their_other_forms_too() -> None:
    text = "Threads, a thread's caching; caches and libraries. Threshold."

    found = marked(text, "thread cache library")

    assert found == ["Threads", "thread", "caching", "caches", "libraries"]


@pytest.mark.parametrize(
    ("text", "query", "found"),
    [
        ("我们每天晚上备份数据库。", "数据库", ["数据", "据库"]),
        ("İstanbul ofisi", "istanbul", ["İstanbul"]),
        ("Die Pru\u0308fung", "Prüfung", ["Pru\u0308fung"]),
        ("Daten\u00adbank", "Datenbank", ["Daten\u00adbank"]),
        ("Version 3.11 of 3", "3.11", ["3.11"]),
    ],
)
def test_matches_of_any_language_are_highlighted(text: str, query: str, found: list[str]) -> None:
    assert marked(text, query) == found


def test_a_query_without_words_highlights_nothing() -> None:
    assert marked("Anything (.*)", "?? .*") == []


def test_a_snippet_is_cut_where_the_matches_are() -> None:
    text = "filler " * 200 + "the needle and the needles " + "filler " * 200

    shown = snippet(text, {"needl"}, 100)

    assert "needle and the needles" in shown.plain
    assert shown.plain.startswith("… ") and shown.plain.endswith(" …")
    assert len(shown.plain) <= 104


def test_a_snippet_of_a_text_without_blanks_is_cut_where_the_matches_are() -> None:
    text = "我" * 400 + "数据库" + "我" * 400

    shown = snippet(text, {"数据"}, 100)

    assert "数据库" in shown.plain and len(shown.plain) <= 104
