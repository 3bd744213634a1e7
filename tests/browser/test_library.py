"""The library in the page: drop, choose, search, read, remove."""

from __future__ import annotations

import httpx
from playwright.sync_api import expect


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


def test_files_are_chosen_and_what_was_left_out_is_said(own_server, open_page, tmp_path):
    table = tmp_path / "prices.csv"
    table.write_text("lamp,price\nblue,40\n")
    page = open_page(f"{own_server.url}/#/documents")

    page.set_input_files("input[type=file]", table)

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

    page.set_input_files("input[type=file]", tmp_path / "frogs.txt")

    expect(page.locator(".uploads")).to_contain_text("1 of 1 file added")
    assert not refusals and set(documents(own_server)) == {"frogs"}


def test_a_page_that_may_not_be_fetched_is_refused_in_a_sentence(own_server, open_page):
    page = open_page(f"{own_server.url}/#/documents")

    page.fill("#url", "http://127.0.0.1:1/private")
    page.press("#url", "Enter")

    expect(page.get_by_role("alert")).to_be_visible()
    assert documents(own_server) == {}
