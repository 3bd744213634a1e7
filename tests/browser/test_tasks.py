"""Tasks in the page, from the box to the report and back through their past."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
from playwright.sync_api import expect

from web.page.routes import page_files

QUESTION = "Compare threads and async I/O for a web server, then recommend one"


def task_id_of(page):
    return page.url.partition("#/tasks/")[2]


def run_in(page, description):
    """Write a task into the box and run it by keyboard."""
    page.fill("#task", description)
    page.press("#task", "Control+Enter")
    page.wait_for_url("**/#/tasks/*")


def test_a_task_goes_from_the_box_to_a_cited_report(real_server, open_page):
    page = open_page(real_server.url)

    run_in(page, QUESTION)

    expect(page.get_by_role("heading", level=1)).to_have_text(QUESTION)
    expect(page.locator("header .state")).to_have_text("● completed")
    expect(page.locator(".report")).to_contain_text("Sources")
    citation = page.locator(".report a.cite").first
    expect(citation).to_have_text("[1]")
    expect(citation).to_have_attribute("href", re.compile(r"^#/documents/.*start=\d+&end=\d+$"))
    library = page.locator(".report").get_by_role("link", name="the Library page")
    expect(library).to_have_attribute("href", "#/documents")
    expect(page.locator(".report")).not_to_contain_text("terzetto ingest")


def test_a_citation_shows_its_excerpt_and_leads_to_its_place(real_server, open_page, run_task):
    task_id = run_task(real_server, QUESTION)
    page = open_page(f"{real_server.url}/#/tasks/{task_id}")
    [source, *_] = httpx.get(
        f"{real_server.url}/tasks/{task_id}/events?follow=false"
    ).text.splitlines()[-1:]
    source = json.loads(source)["data"]["sources"][0]

    page.hover("a.cite >> nth=0")

    expect(page.get_by_role("tooltip")).to_contain_text(source["title"])
    expect(page.get_by_role("tooltip")).to_contain_text(source["text"][:80])
    page.click("a.cite >> nth=0")
    expect(page.locator("h1")).to_have_text(source["title"])
    text = httpx.get(f"{real_server.url}/documents/{source['document_id']}/text").text
    assert page.locator("mark").inner_text() == text[source["start"] : source["end"]]
    expect(page.locator("mark")).to_be_in_viewport()


def test_the_place_of_a_citation_counts_characters_beyond_the_basic_plane(real_server, open_page):
    text = "# Frogs 🐸🐸🐸\n\n🐸 Frogs sing at night.\n\nHerons listen.\n"
    headers = {"Content-Type": "text/markdown"}
    added = httpx.post(f"{real_server.url}/documents", content=text.encode(), headers=headers)
    document_id = added.json()["document_id"]
    stored = httpx.get(f"{real_server.url}/documents/{document_id}/text").text
    start = stored.index("Frogs sing")

    page = open_page(f"{real_server.url}/#/documents/{document_id}?start={start}&end={start + 10}")

    expect(page.locator("mark")).to_have_text("Frogs sing")
    httpx.delete(f"{real_server.url}/documents/{document_id}")


def test_a_follow_up_builds_on_the_report(real_server, open_page, run_task):
    task_id = run_task(real_server, QUESTION)
    page = open_page(f"{real_server.url}/#/tasks/{task_id}")
    page.wait_for_selector("#task")

    page.fill("#task", "When are they slower?")
    page.click("text=Run")

    expect(page.locator("h1")).to_have_text("When are they slower?")
    expect(page.get_by_role("link", name=QUESTION)).to_have_attribute("href", f"#/tasks/{task_id}")
    assert task_id_of(page) != task_id


SHOWS = """(written) =>
    document.querySelector(".report > div").textContent.replace(/\\s+/g, "") === written"""


def test_a_killed_server_costs_the_page_nothing(own_server, open_page):
    page = open_page(own_server.url)
    run_in(page, "Slow report on restoring backups")
    expect(page.locator(".report li").nth(6)).to_be_visible()

    own_server.kill()
    expect(page.get_by_text("The connection is lost.")).to_be_visible()
    own_server.start()

    expect(page.locator("header .state")).to_have_text("● completed", timeout=40_000)
    task_id = task_id_of(page)
    task = httpx.get(f"{own_server.url}/tasks/{task_id}").json()
    lines = httpx.get(f"{own_server.url}/tasks/{task_id}/events?follow=false").text.splitlines()
    assert "task_resumed" in {json.loads(line)["event_type"] for line in lines}
    expect(page.locator(".tabs")).to_contain_text(f"Log {task['last_seq']}")
    written = re.sub(r"\s+|^\d\. ", "", task["final_output"], flags=re.MULTILINE)
    page.wait_for_function(SHOWS, arg=written)


def test_cuts_and_repeats_of_a_connection_lose_and_repeat_no_event(plays, open_page, run_task):
    """A line without its end comes again, and an event that came before is left out."""
    task_id = run_task(plays, "Calm task")
    log = httpx.get(f"{plays.url}/tasks/{task_id}/events?follow=false").text
    lines = log.splitlines(keepends=True)
    answers = [
        "".join(lines[:4]) + lines[4][:20],
        '{"event_type":"heartbeat","task_id":"t","timestamp":"t","data":{}}\n' + lines[4],
        "".join(lines[2:9]),
        None,
        "".join(lines[9:]),
    ]
    asked = []

    def answer(route):
        asked.append(parse_qs(urlsplit(route.request.url).query)["after"][0])
        body = answers.pop(0)
        if body is None:
            route.abort()
        else:
            route.fulfill(body=body, content_type="application/x-ndjson")

    page = open_page("about:blank")
    page.route("**/events?*", answer)
    page.goto(f"{plays.url}/#/tasks/{task_id}/log")

    expect(page.locator(".tabs")).to_contain_text(f"Log {len(lines)}")
    assert asked == ["0", "4", "5", "9", "9"]
    seqs = page.locator(".log .seq").all_inner_texts()
    assert seqs == [str(n) for n in range(1, len(seqs) + 1)]


HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_hidden_tab_holds_no_connection_and_goes_on_when_it_is_seen_again(plays, open_page):
    page = open_page(plays.url)
    run_in(page, "Thinking in a hidden tab")
    expect(page.locator("header .state")).to_have_text("◐ running")

    with page.expect_request("**/events?*follow=false"):
        page.evaluate(HIDE, True)
    httpx.post(f"{plays.url}/tasks/{task_id_of(page)}/cancel", timeout=30)
    page.evaluate(HIDE, False)

    expect(page.locator("header .state")).to_have_text("⊘ cancelled")


def test_a_task_that_is_retried_elsewhere_goes_on_when_the_tab_is_seen_again(
    plays, open_page, run_task
):
    task_id = run_task(plays, "Broken task, retried elsewhere")
    page = open_page(f"{plays.url}/#/tasks/{task_id}")
    expect(page.locator("header .state")).to_have_text("✕ failed")

    httpx.post(f"{plays.url}/tasks/{task_id}/retry", timeout=30)
    page.evaluate(HIDE, False)

    expect(page.locator(".task header")).to_contain_text("run 2")


def test_the_scrubber_shows_the_task_as_it_was(plays, open_page, run_task):
    task_id = run_task(plays, "Calm task")
    page = open_page(f"{plays.url}/#/tasks/{task_id}/answer?seq=14")

    expect(page.locator("header .state")).to_have_text("◐ running")
    expect(page.locator(".report")).to_contain_text("Restore the newest backup")
    expect(page.locator(".report")).not_to_contain_text("Three things")

    for _ in range(3):
        page.get_by_role("slider").press("ArrowRight")
    expect(page.locator(".report")).to_contain_text("Three things")
    page.wait_for_url("**?seq=17")
    page.get_by_role("slider").press("Home")
    expect(page.locator("header .state")).to_have_text("○ pending")
    page.click("text=Back to now")
    expect(page.locator("header .state")).to_have_text("● completed")
    page.wait_for_url("**/answer")


def test_header_scrubber_and_log_have_one_clock_and_plain_words(plays, open_page, run_task):
    """It counts from when the run was queued, however long ago the task was created."""
    task_id = run_task(plays, "Calm task, created early")
    log = httpx.get(f"{plays.url}/tasks/{task_id}/events?follow=false").text
    body = re.sub(r'"timestamp":"\d{4}', '"timestamp":"1999', log, count=1)
    most = len(body.splitlines())
    page = open_page("about:blank")
    page.route("**/events?*", lambda route: route.fulfill(body=body))

    page.goto(f"{plays.url}/#/tasks/{task_id}/log?seq=14")

    took = page.locator("header .facts-row p").inner_text().partition("running · ")[2]
    assert re.fullmatch(r"[\d.,]+ m?s", took)
    scrubber = page.locator(".scrubber output")
    expect(scrubber).to_contain_text(f"As it was at event 14 of {most}, after {took}: Text")
    expect(page.locator(".log [aria-current=true] .since")).to_have_text(took)
    expect(page.locator(".log .since").first).to_have_text("")
    expect(page.locator(".log")).not_to_contain_text("partial_output")
    label = page.get_by_role("slider").get_attribute("aria-valuetext")
    assert label == f"Event 14 of {most}: Text written"


def test_the_plan_and_the_timeline_show_every_attempt(plays, open_page, run_task):
    task_id = run_task(plays, "Flaky task")
    page = open_page(f"{plays.url}/#/tasks/{task_id}/plan")

    expect(page.locator(".step")).to_have_count(5)
    expect(page.locator(".plan path")).to_have_count(5)
    expect(page.locator("#step-s3")).to_contain_text("4 attempts")
    page.click("#step-s3 a")
    expect(page.locator(".attempts li")).to_have_count(4)
    page.click(".tabs >> text=Timeline")
    row = page.locator(".gantt li", has_text="Retrieval s3")
    expect(row.locator("rect.failed")).to_have_count(3)
    expect(row.locator("rect.completed")).to_have_count(1)
    expect(row.locator(".wait").nth(2)).to_be_attached()
    expect(page.locator(".gantt li", has_text="Writing")).to_contain_text("1,540 tokens")


def test_a_failed_task_says_what_to_do_and_keeps_its_text(plays, open_page, run_task):
    task_id = run_task(plays, "Broken task")
    page = open_page(f"{plays.url}/#/tasks/{task_id}")

    expect(page.get_by_role("alert")).to_contain_text("The index of the library is locked")
    expect(page.locator(".report")).to_contain_text("Restore the newest backup")
    page.click("text=Retry")
    expect(page.locator(".task header")).to_contain_text("run 2")
    expect(page.locator("header .state")).to_have_text("✕ failed")


def test_a_task_is_cancelled_and_deleted(plays, open_page):
    page = open_page(plays.url)
    run_in(page, "Thinking about frogs")
    task_id = task_id_of(page)

    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("header .state")).to_have_text("⊘ cancelled")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep it").click()
    assert httpx.get(f"{plays.url}/tasks/{task_id}").status_code == 200
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    page.wait_for_url("**/#/tasks")
    assert httpx.get(f"{plays.url}/tasks/{task_id}").status_code == 404


def test_a_report_is_saved_in_four_forms(plays, open_page, run_task):
    task_id = run_task(plays, "Calm task, to be saved")
    page = open_page(f"{plays.url}/#/tasks/{task_id}")
    saved = {}
    for name in ("Markdown", "HTML", "JSON", "NDJSON"):
        page.click("summary:has-text('Export')")
        with page.expect_download() as download:
            page.get_by_role("button", name=name, exact=True).click()
        saved[download.value.suggested_filename] = Path(download.value.path()).read_text()

    task = httpx.get(f"{plays.url}/tasks/{task_id}").json()
    log = httpx.get(f"{plays.url}/tasks/{task_id}/events?follow=false").text
    assert saved["calm-task-to-be-saved.md"] == task["final_output"]
    assert json.loads(saved["calm-task-to-be-saved.json"]) == task
    assert saved["calm-task-to-be-saved.ndjson"] == log
    html = saved["calm-task-to-be-saved.html"]
    assert (
        html.startswith("<!doctype html>")
        and f'<base href="{plays.url}/">' in html
        and "<p>Restore the newest backup" in html
    )


def test_the_menu_closes_with_escape_and_when_it_is_left(plays, open_page, run_task):
    page = open_page(f"{plays.url}/#/tasks/{run_task(plays, 'Calm task with a menu')}")
    menu = page.locator("details.menu")
    summary = menu.locator("summary")

    summary.click()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    expect(summary).to_be_focused()
    summary.click()
    expect(menu).to_have_attribute("open", "")
    page.locator("h1").click()
    expect(menu).not_to_have_attribute("open", "")


def test_a_stopped_server_is_named_once_and_the_question_stays(own_server, open_page):
    page = open_page(own_server.url)
    expect(page.get_by_role("heading", name="Try one")).to_be_visible()
    own_server.kill()
    page.fill("textarea", "Where is it?")
    page.keyboard.press("Control+Enter")

    expect(page.get_by_role("alert")).to_have_text(re.compile("Start it with terzetto serve"))
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/health")):
        pass
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(page.locator("textarea")).to_have_value("Where is it?")


def test_the_list_of_tasks_has_filters(plays, open_page, run_task):
    run_task(plays, "Broken task in a list")
    run_task(plays, "Calm task in a list")
    page = open_page(f"{plays.url}/#/tasks")
    expect(page.locator(".rows")).to_contain_text("Calm task in a list")

    page.get_by_role("link", name="Failed").click()

    expect(page.locator(".rows")).to_contain_text("Broken task in a list")
    expect(page.locator(".rows")).not_to_contain_text("Calm task in a list")
    assert page.url.endswith("#/tasks?status=failed")


def test_a_long_log_is_complete_but_only_its_visible_rows_exist(plays, open_page, run_task):
    task_id = run_task(plays, "Long report")
    page = open_page(f"{plays.url}/#/tasks/{task_id}/log?seq=1500")

    expect(page.locator(".log [aria-current=true]")).to_contain_text("1500")
    expect(page.locator(".log [aria-current=true]")).to_be_in_viewport()
    assert page.locator(".log li").count() < 60
    page.click(".tabs >> text=Answer")
    page.click("text=Back to now")
    expect(page.locator(".report")).to_contain_text("Paragraph 1999 of")
    items = page.locator(".report ol").evaluate_all(
        "(lists) => lists.map((l) => l.children.length)"
    )
    assert sum(items) == 2_000


def test_the_agents_show_their_work(plays, open_page):
    page = open_page(plays.url)
    run_in(page, "Thinking about mailboxes")

    page.click("text=Agents")

    analyzer = page.locator(".agents li", has_text="analyzer")
    expect(analyzer).to_contain_text("1 of")
    page.go_back()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("header .state")).to_have_text("⊘ cancelled")


def test_an_unknown_task_and_an_unknown_address_say_where_to_go(plays, open_page):
    page = open_page(f"{plays.url}/#/tasks/00000000-0000-0000-0000-000000000000")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("link", name="all tasks")).to_be_visible()

    page.goto(f"{plays.url}/#/nowhere")
    expect(page.locator("h1")).to_have_text("There is nothing here")


def test_the_page_works_below_a_path_of_its_host(plays, open_page, run_task):
    task_id = run_task(plays, "Calm task below a path")
    page = open_page("about:blank")
    page.route(
        "**/*",
        lambda route: (
            route.fulfill(response=route.fetch(url=route.request.url.replace("/below/", "/")))
            if "/below/" in route.request.url
            else route.abort()
        ),
    )

    page.goto(f"{plays.url}/below/#/tasks/{task_id}")

    expect(page.locator("header .state")).to_have_text("● completed")
    expect(page.locator(".report")).to_contain_text("Restore the newest backup")


def test_the_files_of_the_page_are_all_it_asks_for(plays, open_page):
    page = open_page("about:blank")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(plays.url)
    page.wait_for_selector("#task")

    assert all(url.startswith(plays.url) for url in asked)
    files = {url.partition("/page/")[2] for url in asked if "/page/" in url}
    assert {name for name in page_files() if name.endswith(".js")} == {
        name for name in files if name.endswith(".js")
    }
