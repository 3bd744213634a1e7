"""The library in the page: drop, choose, search, read, remove."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import PurePath

import httpx
import pytest
from pathspec import GitIgnoreSpec
from playwright.sync_api import expect

from actors.library.parsing.media_types import KINDS
from web.command.document_files import find_documents
from web.command.ignored import GENERATED, SPHINX_SOURCES

PATTERNS = (
    *("a", "a/", "/a", "a/b", "*.md", "*", "?.md", "a/*", "a/**", "**/b", "a/**/c.md", "**/b/c.md"),
    *("[ab]", "[!a]", "[a-c].md", "# a", r"\#a", r"\!a", "a ", r"a\ ", "a.b+(c)", r"\*", "a*b"),
    *("*.md\n!c.md", "!c.md\n*.md", "", "**", "a**", "**a", "é?", "[é]"),
)
PATHS = (
    *("a", "a/", "b", "a/b", "a/b/", "a/b/c.md", "a/c.md", "c.md", "x/a", "x/a/", "x/b/c.md"),
    *("#a", "!a", "a ", "a.b+(c)", "*", "axb", "a.md", "é", "éa", "]", "A"),
)


def drop(page, *paths):
    """Drop files or folders of this machine, as a person does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        at = {"type": kind, "x": 300, "y": 300, "data": data}
        session.send("Input.dispatchDragEvent", at)


def documents(server):
    listed = httpx.get(f"{server.url}/documents?limit=200").json()["documents"]
    return {one["title"]: one for one in listed if not one["sample"]}


def test_a_folder_is_dropped_searched_and_removed(own_server, open_page, tmp_path):
    folder = tmp_path / "notes"
    for path, text in {
        "frogs.md": "# Frogs\n\nFrogs sing at night.\n",
        "deep/herons.txt": "Herons listen to the frogs.\n",
        "deep/picture.bin": "\0\1\2",
        ".git/config": "hidden",
        "node_modules/x.js": "generated",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    page = open_page(f"{own_server.url}/#/documents")
    expect(page.get_by_role("heading", name="The sample library")).to_be_visible()

    drop(page, folder)

    expect(page.locator(".uploads")).to_contain_text("2 of 3 files added, 1 not")
    expect(page.locator(".uploads li")).to_contain_text("notes/deep/picture.bin")
    expect(page.get_by_role("heading", name="2 documents")).to_be_visible()
    assert set(documents(own_server)) == {"Frogs", "herons"}
    page.fill("#q", "sing")
    page.press("#q", "Enter")
    expect(page.locator(".passages li")).to_have_count(1)
    page.click(".passages a")
    expect(page.locator("mark")).to_contain_text("Frogs sing at night.")
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("heading", name="1 document")).to_be_visible()
    assert set(documents(own_server)) == {"herons"}


def choose(page, folder):
    page.set_input_files("input[webkitdirectory]", folder)


@pytest.mark.parametrize("give", [drop, choose])
def test_a_folder_leaves_out_what_the_command_leaves_out(own_server, open_page, tmp_path, give):
    folder = tmp_path / "project"
    for path, text in {
        ".gitignore": "*.secret\n/private/\n!deep/kept.secret\n",
        "README.md": "# Read me",
        "key.secret": "hunter2",
        "private/diary.md": "# Diary",
        "deep/private/open.md": "# Open",
        "deep/kept.secret": "Kept.",
        "deep/.gitignore": "draft-[0-9].md\n",
        "deep/draft-1.md": "# Draft",
        "deep/draft-x.md": "# Other draft",
        "cache/CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n",
        "cache/x.md": "# Cached",
        "env/pyvenv.cfg": "home = /usr",
        "env/x.md": "# Environment",
        **{f"{name}/x.md": "# Generated" for name in {*GENERATED, SPHINX_SOURCES}},
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    by_command = find_documents([folder], max_bytes=1_000_000)
    page = open_page(f"{own_server.url}/#/documents")

    give(page, folder)

    expect(page.locator(".uploads")).to_contain_text("4 of 4 files added")
    assert set(documents(own_server)) == {"Read me", "Open", "kept", "Other draft"}
    for kind, number in Counter(by_command.ignored.values()).items():
        expect(page.locator(".uploads")).to_contain_text(f"{number} {kind}")


def test_the_page_reads_patterns_as_git_does(own_server, open_page):
    page = open_page(f"{own_server.url}/#/documents")
    specs = {lines: GitIgnoreSpec.from_lines(lines.split("\n")) for lines in PATTERNS}
    cases = [
        (lines, path)
        for lines, path in product(PATTERNS, PATHS)
        if not any(specs[lines].match_file(f"{folder}/") for folder in PurePath(path).parents)
        # Git takes a/** for what is in the folder, pathspec also for the folder itself.
        and (lines, path) != ("a/**", "a/")
    ]

    found = page.evaluate(
        """async (cases) => {
            const { patterns, verdict } = await import("/page/views/gitignore.js");
            return cases.map(([lines, path]) =>
                verdict(patterns(lines), path.replace(/\\/$/, ""), path.endsWith("/")));
        }""",
        cases,
    )

    for (lines, path), ignored in zip(cases, found, strict=True):
        assert ignored == specs[lines].check_file(path).include, (lines, path)


def test_files_are_chosen_and_what_was_left_out_is_said(own_server, open_page, tmp_path):
    table = tmp_path / "prices.csv"
    table.write_text("lamp,price\nblue,40\n")
    page = open_page(f"{own_server.url}/#/documents")

    page.set_input_files("input[multiple]", table)

    expect(page.locator(".uploads")).to_contain_text("1 of 1 file added")
    [added] = documents(own_server).values()
    for note in added["notes"]:
        expect(page.locator(".uploads")).to_contain_text(note)


def test_an_upload_to_a_full_server_is_tried_again(own_server, open_page, tmp_path):
    (tmp_path / "frogs.txt").write_text("Frogs sing.")
    page = open_page("about:blank")
    refusals = [503, 429]

    def refuse(route):
        if refusals and route.request.method == "POST":
            headers = {"Retry-After": "1", "Content-Type": "application/problem+json"}
            route.fulfill(status=refusals.pop(), headers=headers, body='{"detail": "Full."}')
        else:
            route.continue_()

    page.route("**/documents", refuse)
    page.goto(f"{own_server.url}/#/documents")

    page.set_input_files("input[multiple]", tmp_path / "frogs.txt")

    expect(page.locator(".uploads")).to_contain_text("1 of 1 file added")
    assert not refusals and set(documents(own_server)) == {"frogs"}


def test_a_page_that_may_not_be_fetched_is_refused_in_a_sentence(own_server, open_page):
    page = open_page(f"{own_server.url}/#/documents")

    page.fill("#url", "http://127.0.0.1:1/private")
    page.press("#url", "Enter")

    expect(page.get_by_role("alert")).to_be_visible()
    assert documents(own_server) == {}


def test_documents_of_the_same_title_are_told_apart(own_server, open_page, tmp_path):
    folder = tmp_path / "alle Übungen"
    for path, text in {
        "a/notes.md": "# Notes\n\nFrogs.",
        "b/notes.md": "# Notes\n\nHerons.",
    }.items():
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(text)
    page = open_page(f"{own_server.url}/#/documents")

    choose(page, folder)

    rows = page.locator(".rows li")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="alle Übungen/a/notes.md")).to_contain_text("Markdown")
    (folder / "a/notes.md").write_text("# Notes\n\nToads.")
    choose(page, folder)
    expect(page.locator(".uploads")).to_contain_text("4 of 4 files added (1 there already)")
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="older than another of this name")).to_have_count(1)
    rows.filter(has_text="alle Übungen/b/notes.md").get_by_role("link").click()
    expect(page.get_by_role("main")).to_contain_text("alle Übungen/b/notes.md")
    expect(page.locator(".text")).to_contain_text("Herons.")


def test_the_page_has_a_word_for_every_media_type(own_server, open_page):
    page = open_page(own_server.url)
    types = [kind.media_type for kind in KINDS]

    words = page.evaluate(
        """async (types) => {
            const { mediaKind } = await import("/page/format.js");
            return types.map(mediaKind);
        }""",
        types,
    )

    assert not set(words) & set(types) and len(set(words)) == len(words)
