"""The page for everybody: screen readers, keyboards, small screens, light and dark."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

VIEWS = {
    "start": "",
    "tasks": "#/tasks",
    "library": "#/documents",
    "search": "#/documents?q=threads",
    "agents": "#/agents",
    "answer": "#/tasks/{flaky}",
    "past": "#/tasks/{flaky}/answer?seq=34",
    "plan": "#/tasks/{flaky}/plan?step=s3",
    "timeline": "#/tasks/{flaky}/timeline",
    "sources": "#/tasks/{flaky}/sources",
    "log": "#/tasks/{flaky}/log?seq=12",
    "failed": "#/tasks/{broken}",
    "hostile": "#/tasks/{hostile}",
    "nothing": "#/nowhere",
}


@pytest.fixture(scope="module")
def tasks(plays, run_task):
    names = ("flaky", "broken", "hostile")
    return {name: run_task(plays, f"{name.title()} task") for name in names}


def show(open_page, plays, tasks, view, **options):
    page = open_page(f"{plays.url}/{VIEWS[view].format(**tasks)}", **options)
    expect(page.locator("h1")).to_be_visible()
    page.wait_for_function("!document.getElementById('main').innerText.includes('Loading')")
    return page


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_in_light_dark_and_on_a_small_phone(plays, open_page, tasks, view):
    page = show(open_page, plays, tasks, view)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()

    page.set_viewport_size({"width": 360, "height": 640})

    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_task_is_run_and_read_by_keyboard_alone(real_server, open_page):
    page = open_page(real_server.url)
    expect(page.locator("#task")).to_be_focused()

    page.keyboard.type("What does write-ahead logging do?")
    page.keyboard.press("Control+Enter")

    expect(page.locator("header .state")).to_have_text("● completed")
    expect(page.locator("#main")).to_be_focused()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('a.cite')"):
            break
    expect(page.get_by_role("tooltip")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("tooltip")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.locator("mark")).to_be_in_viewport()


def test_the_log_is_walked_with_the_arrow_keys(plays, open_page, tasks):
    page = show(open_page, plays, tasks, "log")

    page.get_by_role("region", name="Events").press("ArrowDown")

    expect(page.locator(".log [aria-current=true]")).to_contain_text("13")
    expect(page.locator(".details h2")).to_contain_text("Event 13")


def test_screen_readers_hear_that_a_task_ends(plays, open_page):
    page = open_page(plays.url)
    page.fill("#task", "Flaky announcements")
    page.click("text=Run")

    expect(page.locator("#announcer")).to_have_text("The task is completed.")


def test_what_was_said_to_screen_readers_is_not_there_to_be_read_later(plays, open_page):
    page = open_page("about:blank")
    page.clock.install()
    page.goto(plays.url)
    page.evaluate("""import("/page/parts.js").then(({ announce }) => announce("It was added."))""")
    expect(page.locator("#announcer")).to_have_text("It was added.")

    page.clock.fast_forward(6_000)

    expect(page.locator("#announcer")).to_have_text("")
