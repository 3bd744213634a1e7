"""The page of a server that wants a key: how it asks, and what it says of keys that do not do."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import httpx
from playwright.sync_api import expect


def give(page, key):
    """Answer the question for a key."""
    page.fill("#key-value", key)
    page.click("text=Continue")


def run_in(page, description):
    page.fill("#task", description)
    page.press("#task", "Control+Enter")


def test_a_server_with_keys_is_asked_with_the_key_of_the_session(own_server, open_page):
    key = own_server.keys("add", "alice")["key"]
    page = open_page(own_server.url)
    expect(page.get_by_role("dialog")).to_contain_text("terzetto keys add NAME")
    give(page, "bad")
    expect(page.get_by_role("dialog")).to_contain_text("The key was not accepted")
    expect(page.get_by_role("dialog")).to_contain_text("Copy the whole key again")
    give(page, key)

    run_in(page, "Calm task with a key")
    expect(page.locator("header .state")).to_have_text("● completed")
    assert page.evaluate("localStorage.length + document.cookie.length") == 0
    page.reload()
    expect(page.locator("header .state")).to_have_text("● completed")
    page.click("text=Forget key")
    expect(page.get_by_role("dialog")).to_contain_text("This server needs a key")


def test_a_task_of_another_key_is_not_there(own_server, open_page):
    key = {name: own_server.keys("add", name)["key"] for name in ("alice", "bob")}
    headers = {"Authorization": f"Bearer {key['alice']}"}
    new = {"task_description": "Calm task of Alice"}
    made = httpx.post(f"{own_server.url}/tasks", json=new, headers=headers).raise_for_status()

    page = open_page(f"{own_server.url}/#/tasks/{made.json()['task_id']}")
    give(page, key["bob"])

    expect(page.get_by_role("alert")).to_contain_text("There is no task")


def test_a_key_that_ends_while_a_report_streams_is_asked_for_again(own_server, open_page):
    key = own_server.keys("add", "alice")["key"]
    asked: list[str] = []
    page = open_page(own_server.url)
    page.on("request", lambda sent: asked.append(sent.url))
    give(page, key)
    run_in(page, "Slow report on restoring backups")
    expect(page.locator(".report li").nth(6)).to_be_visible()

    own_server.keys("add", "root", "--scope", "admin")
    own_server.keys("revoke", "alice")
    expect(page.get_by_role("dialog")).to_contain_text("was revoked")
    new = own_server.keys("add", "alice", "--take-over")["key"]
    give(page, new)

    expect(page.locator("header .state")).to_have_text("● completed", timeout=40_000)
    task_id = page.url.partition("#/tasks/")[2]
    headers = {"Authorization": f"Bearer {new}"}
    task = httpx.get(f"{own_server.url}/tasks/{task_id}", headers=headers).json()
    expect(page.locator(".tabs")).to_contain_text(f"Log {task['last_seq']}")
    written = re.sub(r"\s+|^\d\. ", "", task["final_output"], flags=re.MULTILINE)
    shows = """(text) =>
        document.querySelector(".report > div").textContent.replace(/\\s+/g, "") === text"""
    page.wait_for_function(shows, arg=written)
    after = [int(parse_qs(urlsplit(url).query)["after"][0]) for url in asked if "/events?" in url]
    assert after[0] == 0 and min(after[1:]) > 7


def test_a_key_that_may_only_look_is_told_what_it_needs_and_can_be_changed(own_server, open_page):
    reader = own_server.keys("add", "bob", "--scope", "read")["key"]
    page = open_page(own_server.url)
    give(page, reader)
    run_in(page, "Calm task of a reader")

    expect(page.get_by_role("alert")).to_contain_text("terzetto keys add NAME --scope write")
    page.click("text=Use another key")
    page.click("text=Go back")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.click("text=Use another key")
    give(page, own_server.keys("add", "carol")["key"])
    page.get_by_role("button", name="Run").click()

    expect(page.locator("h1")).to_have_text("Calm task of a reader")
    expect(page.locator("header .state")).to_have_text("● completed")


def test_another_key_reads_the_library_anew(own_server, open_page):
    reader = own_server.keys("add", "bob", "--scope", "read")["key"]
    page = open_page(f"{own_server.url}/#/documents")
    give(page, reader)
    page.fill("input[name=url]", "http://127.0.0.1:1/page.html")
    page.press("input[name=url]", "Enter")
    expect(page.get_by_role("alert")).to_contain_text("the scope write is needed")
    admin = own_server.keys("add", "ada", "--scope", "admin")["key"]
    note = {"Authorization": f"Bearer {admin}", "Content-Type": "text/plain"}
    httpx.post(f"{own_server.url}/documents?title=Ferns", content="Ferns grow.", headers=note)

    page.click("text=Use another key")
    give(page, admin)

    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator("main")).to_contain_text("Ferns")


def test_a_key_with_characters_that_no_key_has_is_refused_at_once(own_server, open_page):
    own_server.keys("add", "alice")
    page = open_page(own_server.url)

    give(page, "tz_schlüssel…")

    expect(page.get_by_role("dialog")).to_contain_text("characters that no key has")
    expect(page.get_by_role("alert")).to_have_count(0)
