"""Which files `terzetto ingest` finds in a folder, and which it leaves out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.library.parsing.media_types import KINDS, SUFFIXES
from web.command.document_files import FoundFiles, find_documents, is_gone
from web.command.ignored import CACHE_SIGNATURE

MIB = 1_048_576


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with three notes, the last in a folder below it."""
    folder = tmp_path / "notes"
    write(folder, "b.txt", "a.md", "below/c.html")
    return folder


def write(folder: Path, *names: str, text: str = "Text") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def names(found: FoundFiles) -> list[str]:
    return [path.name for path in found.files]


def left_out(found: FoundFiles, folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): reason for path, reason in found.ignored.items()}


def test_a_folder_is_walked_in_order_without_hidden_files(notes: Path) -> None:
    write(notes, ".hidden.md", ".git/x.md", ".venv/x.md")

    found = find_documents([notes], MIB)

    assert names(found) == ["a.md", "b.txt", "c.html"]
    assert found.folders == [notes] and found.ignored == {}


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_kind_of_the_table_is_found_by_its_ending(tmp_path: Path, suffix: str) -> None:
    write(tmp_path, f"x{suffix}", f"y{suffix.upper()}")

    assert len(find_documents([tmp_path], MIB).files) == 2


def test_the_table_has_the_kinds_that_people_have() -> None:
    wanted = """.txt .md .html .pdf .docx .odt .epub .ipynb .csv .tsv .json .yaml .rst .org .eml
        .py .js .ts .java .c .cpp .go .rs .rb .sh .sql .log .conf .cfg .ini .xml .tex .srt .vtt"""
    assert set(wanted.split()) <= SUFFIXES.keys()
    assert len(SUFFIXES) == sum(len(kind.suffixes) for kind in KINDS)


def test_files_of_other_types_are_counted_in_folders_and_read_when_named(notes: Path) -> None:
    write(notes, "x.png", "y.PNG", "Makefile", "server.dat")

    found = find_documents([notes], MIB)
    assert found.skipped == {".png": 2, "no extension": 1, ".dat": 1}

    named = find_documents([notes / "Makefile", notes / "server.dat", notes / ".hidden"], MIB)
    assert names(named) == ["Makefile", "server.dat"]
    assert named.missing == [notes / ".hidden"]


def test_loops_of_links_end_and_a_file_is_found_once(notes: Path) -> None:
    (notes / "below" / "up").symlink_to(notes)
    (notes / "again.md").symlink_to(notes / "a.md")
    os.link(notes / "b.txt", notes / "d.txt")

    found = find_documents([notes, notes / "a.md", notes], MIB)

    assert names(found) == ["a.md", "b.txt", "c.html"]


def test_a_link_out_of_the_folder_is_named_and_not_followed(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    secret = tmp_path / "secret.txt"
    secret.write_text("A secret.")
    (notes / "link.txt").symlink_to(secret)
    (notes / "all").symlink_to(tmp_path)

    found = find_documents([notes], MIB)
    named = find_documents([notes / "link.txt"], MIB)

    assert found.files == []
    assert found.ignored == dict.fromkeys(
        [notes / "all", notes / "link.txt"], "a link out of the folder"
    )
    assert named.files == [notes / "link.txt"]


def test_broken_links_pipes_and_large_files_are_listed(notes: Path) -> None:
    (notes / "broken.md").symlink_to(notes / "nowhere")
    os.mkfifo(notes / "pipe.txt")
    (notes / "large.txt").write_bytes(b"x" * 101)

    found = find_documents([notes], 100)

    assert {path.name: reason for path, reason in found.unreadable} == {
        "broken.md": "No such file or directory",
        "pipe.txt": "It is not a regular file",
        "large.txt": "101 bytes; the limit is 100",
    }


def test_a_name_that_is_not_utf_8_is_listed(notes: Path) -> None:
    (notes / os.fsdecode(b"caf\xe9.md")).touch()

    assert find_documents([notes], MIB).unreadable[0][1] == "Its name is not UTF-8"


def test_a_path_with_dots_is_the_same_file(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(notes / "below")

    found = find_documents([Path("../a.md"), Path()], MIB)

    assert found.files == [(notes / "a.md").resolve(), notes / "below" / "c.html"]


def test_generated_folders_are_left_out_and_named(notes: Path) -> None:
    write(notes, "node_modules/pkg/README.md", "below/node_modules/x.md", "build/x.md")
    write(notes, "target/x.md", "env/pyvenv.cfg", "env/x.md", "conda/conda-meta/x.json")
    write(notes, "py/__pycache__/x.md", "py/lib/site-packages/x.md", "_sources/x.rst.txt")
    write(notes, "cache/x.md", "not-a-cache/x.md", "not-a-cache/CACHEDIR.TAG")
    (notes / "cache" / "CACHEDIR.TAG").write_bytes(CACHE_SIGNATURE + b"\n")

    found = find_documents([notes], MIB)

    assert names(found) == ["a.md", "b.txt", "c.html", "x.md"]
    assert left_out(found, notes) == {
        "_sources": "_sources folder",
        "below/node_modules": "node_modules folder",
        "build": "build folder",
        "cache": "cache folder",
        "conda": "virtual environment",
        "env": "virtual environment",
        "node_modules": "node_modules folder",
        "py/__pycache__": "__pycache__ folder",
        "py/lib/site-packages": "site-packages folder",
        "target": "target folder",
    }


def test_a_generated_folder_that_is_named_is_read(notes: Path) -> None:
    write(notes, "node_modules/pkg/README.md", "node_modules/pkg/node_modules/x.md")

    assert names(find_documents([notes / "node_modules"], MIB)) == ["README.md"]
    both = find_documents([notes, notes / "node_modules" / "pkg" / "README.md"], MIB)
    assert names(both) == ["a.md", "b.txt", "c.html", "README.md"]


GITIGNORE = """\
# what git leaves out
*.log.md
!kept.log.md
/only-at-the-top.md
drafts/
deep/**/secret.md
!

\\
"""


def test_gitignore_is_respected(notes: Path) -> None:
    (notes / ".gitignore").write_bytes(b"\xef\xbb\xbf" + GITIGNORE.replace("\n", "\r\n").encode())
    write(notes, "x.log.md", "kept.log.md", "only-at-the-top.md", "below/only-at-the-top.md")
    write(notes, "drafts/x.md", "below/drafts/x.md", "deep/er/secret.md", "drafts.md")

    found = find_documents([notes], MIB)

    assert names(found) == [
        *("a.md", "b.txt", "c.html", "only-at-the-top.md", "drafts.md", "kept.log.md")
    ]
    assert set(left_out(found, notes)) == {
        *("x.log.md", "only-at-the-top.md", "drafts", "below/drafts", "deep/er/secret.md")
    }
    assert set(found.ignored.values()) == {"ignored by .gitignore"}


def test_the_nearest_gitignore_decides(notes: Path) -> None:
    write(notes, ".gitignore", text="*.html\n*.txt\n")
    write(notes, "below/.gitignore", text="!c.html\n/x.md\n")
    write(notes, "below/x.md", "x.md", "below/below/x.md", "other/.gitignore")

    assert names(find_documents([notes], MIB)) == ["a.md", "x.md", "c.html", "x.md"]


def test_an_ignored_file_that_is_named_is_read(notes: Path) -> None:
    write(notes, ".gitignore", text="*\n")

    assert names(find_documents([notes], MIB)) == []
    assert names(find_documents([notes / "a.md"], MIB)) == ["a.md"]


def test_the_gitignore_of_the_repository_counts_in_its_folders(notes: Path) -> None:
    write(notes, ".gitignore", text="c.html\n/below/private\n")
    write(notes, "below/d.md", "below/private/x.md")

    outside = find_documents([notes / "below"], MIB)
    (notes / ".git").mkdir()
    inside = find_documents([notes / "below"], MIB)
    named = find_documents([notes / "below" / "private"], MIB)

    assert names(outside) == ["c.html", "d.md", "x.md"]
    assert names(inside) == ["d.md"]
    assert names(named) == ["x.md"]


def test_a_gitignore_that_cannot_be_read_ignores_nothing(notes: Path) -> None:
    (notes / ".gitignore").mkdir()
    (notes / "below" / ".gitignore").write_bytes(b"\xff\xfe*\n\0")

    assert names(find_documents([notes], MIB)) == ["a.md", "b.txt", "c.html"]


def test_only_what_is_surely_not_there_is_gone(notes: Path) -> None:
    (notes / "broken.md").symlink_to(notes / "nowhere")

    assert is_gone(notes / "nowhere.md") and is_gone(notes / "a.md" / "below.md")
    assert not is_gone(notes / "a.md") and not is_gone(notes / "broken.md")
    assert not is_gone(notes / ("too-long" * 100))


def test_a_deep_folder_is_walked(tmp_path: Path) -> None:
    folders = [tmp_path]
    for _ in range(1_200):
        folders.append(folders[-1] / "d")
        os.mkdir(str(folders[-1]))
    note = folders[-1] / "x.md"
    note.write_text("Text")

    found = find_documents([tmp_path], MIB)

    assert found.files == [note]
    note.unlink()
    for folder in folders[:0:-1]:  # pytest would remove them by recursion.
        folder.rmdir()
